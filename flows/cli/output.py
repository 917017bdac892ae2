"""What the verbs print: results on standard output; progress and messages go to standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType


def print_json(content: object) -> None:
    """Print a value as JSON for other programs; a number that is NaN or infinite, and so has no value, as null."""
    from dlif_core.finite import nulled, to_json

    typer.echo(to_json(nulled(content), where="standard output", indent=1))


def print_rich(*shown: RenderableType) -> None:
    """Print tables or formatted text, as wide as the terminal."""
    from rich.console import Console

    console = Console()
    for one in shown:
        console.print(one)
