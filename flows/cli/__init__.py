"""The ``dlif`` command, put together from one module a verb.

A new verb is a module with a function (or a group of functions as a `typer.Typer`) and one entry in `VERBS`. Heavy
libraries are imported inside the functions that use them, so that the help appears at once.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, NoReturn

import typer

from dlif_core.errors import DlifError, ExitCode
from dlif_core.masking import mask_logs
from flows.cli import (
    catalog,
    check,
    doctor,
    evaluate,
    explain,
    export,
    ingest,
    init,
    model,
    models,
    plan,
    report,
    run,
    simulate,
    status,
    train,
)
from flows.cli.deploy import deploy

#: Every verb under the panel of the help in which it is listed, in the order shown.
VERBS: Mapping[str, tuple[Callable[..., None] | typer.Typer, ...]] = {
    "Study": (
        init.init,
        simulate.simulate,
        ingest.ingest,
        check.check,
        plan.plan,
        run.run,
        status.status,
        report.report,
        export.export,
        catalog.catalog,
    ),
    "Input functions": (explain.explain, evaluate.evaluate),
    "Models": (models.models, train.train, model.model),
    "Installation": (deploy, doctor.doctor),
}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success · 1 unexpected fault · 2 configuration or usage · 3 input data · 4 store · "
    "5 some scans did not succeed · 6 no scan succeeded · 7 the cluster was lost · 130 interrupted. "
    "For research use only.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dlif {version('dlif')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Input functions, kinetic parameters and parametric maps from cohorts of dynamic PET scans."""


for _panel, _verbs in VERBS.items():
    for _verb in _verbs:
        if isinstance(_verb, typer.Typer):
            app.add_typer(_verb, rich_help_panel=_panel)
        else:
            app.command(rich_help_panel=_panel)(_verb)


def main() -> None:
    """Run the command.

    An error that dlif raises on purpose, and a file that can't be read or written, are shown as a message without a
    traceback. Any other exception is a fault of the program and keeps its traceback.
    """
    mask_logs()
    try:
        app(prog_name="dlif")
    except DlifError as error:
        _exit(str(error), error.exit_code)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _exit(f"{error.strerror}. Make room and run the study again: finished steps are kept.", ExitCode.STORE)
        if error.filename is None:
            raise
        code = ExitCode.STORE if error.errno == errno.EROFS else ExitCode.UNEXPECTED
        _exit(f"{error.filename}: {error.strerror}.", code)


def _exit(message: str, code: ExitCode) -> NoReturn:
    typer.secho(f"Error: {message}", fg="red", err=True)
    sys.exit(code)
