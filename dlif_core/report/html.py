"""Rendering of the page templates."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("dlif_core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **content: Any) -> str:
    """Render a page from a template; every text in `content` is escaped unless it is Markup."""
    return _environment().get_template(template).render(version=version("dlif"), **content)
