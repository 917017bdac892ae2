"""Runs without Prefect and Dask from a terminal or a batch job: shards, scans that are drawn, the cohort alone."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from dlif_core.compute.lasting_pool import LastingPool
from dlif_core.errors import ExitCode
from dlif_core.study.config import StudyConfig
from flows.cli.output import print_rich
from flows.cli.tables import status_table
from flows.serial import draw_scans, run_cohort_only, run_shard

_TERMINATED = 128 + signal.SIGTERM


def shard(part: tuple[int, int], config: StudyConfig, workers: int) -> None:
    """Run a part of the scans; a single part also makes the product of the cohort."""
    with _workers(workers) as executor:
        run_shard(config, executor, *part)


def draw(config: StudyConfig, workers: int) -> NoReturn:
    """Draw scans until none is left; print the status of those that this run worked on, and exit by it."""
    with _workers(workers) as executor:
        status = draw_scans(config, executor)
    if status.scans:
        print_rich(status_table(status))
    else:
        typer.echo("No scan was left to draw.")
    raise typer.Exit(status.exit_code)


def cohort(config: StudyConfig, workers: int) -> None:
    """Make the product of the cohort of the scans as they stand; exit with 1 if that fails."""
    with _workers(workers) as executor:
        outcomes = run_cohort_only(config, executor)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(ExitCode.UNEXPECTED)


@contextmanager
def _workers(count: int) -> Iterator[LastingPool]:
    """Start worker processes; every step that ends is told on standard error.

    SIGTERM, which Slurm sends to a cancelled job, ends the program as an exception does: it gives claims back.
    """
    signal.signal(signal.SIGTERM, _exit)
    _tell_steps()
    with LastingPool(count) as executor:
        yield executor


def _tell_steps() -> None:
    log = logging.getLogger("dlif_core.study")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _exit(_number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(_TERMINATED)
