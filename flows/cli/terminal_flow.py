"""Starts the cohort flow from a terminal: settings and server of Prefect, its log, and interrupts from the keyboard."""

from __future__ import annotations

import logging
import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from dlif_core.compute.interrupts import shielded
from dlif_core.errors import DlifError
from dlif_core.storage import joined

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

#: Settings for a run from a terminal, unless the user chose others: no analytics, only warnings in the terminal, and
#: time for the temporary server to start on a slow machine.
_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def run_cohort(study: str, cluster: str, workers: int | None) -> None:
    """Run the cohort flow; parameters as those of `flows.cohort.cohort`."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from prefect import tags

    from flows.cohort import cohort
    from flows.server import server_is_needed

    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)
    for number in (signal.SIGINT, signal.SIGTERM):  # a batch system sends the second
        signal.signal(number, _interrupt)
    has_ui = _start_server()
    # tagged from the very start, because signs of life carry the tags of then
    with tags("dlif"), server_is_needed():
        told = cohort.with_options(on_running=[_tell_page]) if has_ui else cohort
        state = told(joined("", study), cluster=cluster, workers=workers, return_state=True)
    fault = state.result(raise_on_failure=False)
    if isinstance(fault, BaseException):
        raise fault


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record tells more than the lines above the progress bars and than an error of dlif, shown once.

    That a worker needed to be killed at the end, as Dask's nanny warns on a busy machine, is no news either.
    """
    told = record.exc_info and isinstance(record.exc_info[1], DlifError)
    at_the_end = record.name == "distributed.nanny" and record.levelno <= logging.WARNING
    return not (told or at_the_end or record.name.startswith("dlif_core.study"))


def _tell_page(flow: Any, flow_run: FlowRun, state: Any) -> None:
    """Print where the run is seen in the browser."""
    from flows.study_run import page_of

    if page := page_of(flow_run.id):
        typer.echo(f"Flow run: {page}")


def _start_server() -> bool:
    """Start Prefect's temporary server, unless there is another; returns whether there is, with pages of its runs.

    It is shielded from interrupts from the keyboard, because an interrupted flow needs it to end in order.
    """
    from prefect.client.base import ServerType, determine_server_type
    from prefect.server.api.server import SubprocessASGIServer

    if determine_server_type() is not ServerType.EPHEMERAL:
        return True
    with shielded():
        SubprocessASGIServer().start()
    return False


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Say once that the run ends; what its steps report while they are cancelled is no news."""
    logging.disable(logging.CRITICAL)
    typer.echo("Interrupted. Finished steps are kept; `dlif run` resumes.", err=True)
    raise KeyboardInterrupt
