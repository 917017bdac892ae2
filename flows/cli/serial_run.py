"""Runs without Prefect and Dask from a terminal or a batch job: shards, scans that are drawn, the cohort alone."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import typer

from dlif_core.compute.lasting_pool import LastingPool
from dlif_core.errors import ExitCode
from dlif_core.study.config import StudyConfig
from flows.cli.output import print_rich
from flows.cli.tables import status_table
from flows.serial import draw_scans, lines, run_cohort_only, run_shard

_TERMINATED = 128 + signal.SIGTERM


def shard(part: tuple[int, int], config: StudyConfig, workers: int) -> None:
    """Run a part of the scans; a single part also makes the product of the cohort."""
    end_in_order_when_terminated()
    with LastingPool(workers) as executor:
        run_shard(config, executor, *part, report=lines(_say), tell=_say)


def draw(config: StudyConfig, workers: int) -> NoReturn:
    """Draw scans until none is left; print the status of those that this run worked on, and exit by it."""
    end_in_order_when_terminated()
    with LastingPool(workers) as executor:
        status = draw_scans(config, executor, report=lines(_say), tell=_say)
    if status.scans:
        print_rich(status_table(status))
    else:
        typer.echo("No scan was left to draw.")
    raise typer.Exit(status.exit_code)


def cohort(config: StudyConfig, workers: int) -> None:
    """Make the product of the cohort of the scans as they stand; exit with 1 if that fails."""
    end_in_order_when_terminated()
    with LastingPool(workers) as executor:
        outcomes = run_cohort_only(config, executor, report=lines(_say))
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(ExitCode.UNEXPECTED)


def end_in_order_when_terminated() -> None:
    """Let SIGTERM, which Slurm sends to a cancelled job, end the program as an exception does: it gives claims back."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(_number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(_TERMINATED)


def _say(line: str) -> None:
    typer.echo(line, err=True)
