"""``dlif run``: bring a study up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from flows.cli.options import StudyFile
from flows.cli.output import print_rich

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlif_core.store import Store
    from dlif_core.study.config import StudyConfig
    from dlif_core.study.step import Plan

_WHERE = "Where the work is done"
_ALONE = "Without Prefect and Dask, for job arrays"
#: The cluster that the study names.
_OF_THE_STUDY = ""


def run(
    study: StudyFile,
    cluster: Annotated[
        str,
        typer.Option(
            help="local for this machine, name or file (.yaml) of a profile, or address of a Dask scheduler; if left "
            "out, as the study says.",
            metavar="CLUSTER",
            rich_help_panel=_WHERE,
        ),
    ] = _OF_THE_STUDY,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes on this machine; if left out, one for each core (without Prefect: one).",
            metavar="COUNT",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            help="Process part i of n of the scans (1/4 … 4/4); 1/1 is the whole study.",
            metavar="I/N",
            rich_help_panel=_ALONE,
        ),
    ] = "",
    draw: Annotated[
        bool,
        typer.Option(
            "--draw",
            help="Draw scans that no other run works on, until none is left; the exit code is that of these scans.",
            rich_help_panel=_ALONE,
        ),
    ] = False,
    cohort_only: Annotated[
        bool,
        typer.Option(
            "--cohort-only", help="Only make the cohort's product of the scans as they stand.", rich_help_panel=_ALONE
        ),
    ] = False,
) -> None:
    """Bring a study up to date: only what is missing or has changed is computed."""
    from dlif_core.store import Claims
    from dlif_core.study.config import load_study
    from dlif_core.study.plan import make_plan, open_study_store

    alone = _run_alone(shard, draw, cohort_only, cluster)
    config = load_study(study)
    if draw:
        _draw(config, workers or 1)
    store = open_study_store(config)
    planned = make_plan(config, store)
    if not planned.to_run:
        Claims.clear_traces(store.folder)
        typer.echo("Everything is up to date.")
    else:
        if alone is None:
            from dlif_core.study.sharing import require_work

            require_work(planned, store)
            _require_cluster(cluster or config.cluster, workers, config, planned)
            from flows.cli.terminal_flow import run_cohort

            run_cohort(study, cluster, workers)
        else:
            alone(config, workers or 1)
        planned = make_plan(config, store)
    _print_results(config, planned, store)


def _require_cluster(cluster: str, workers: int | None, config: StudyConfig, planned: Plan) -> None:
    """Refuse a cluster that can't be had at once, not after the many seconds in which Prefect starts."""
    from dlif_core.compute.cluster import require_cluster
    from dlif_core.study.memory import largest_need

    require_cluster(cluster, workers, largest_need(config, planned))


def _draw(config: StudyConfig, workers: int) -> NoReturn:
    """Draw scans; only these count for what is printed and for the exit code."""
    from flows.cli.serial_run import draw

    draw(config, workers)


def _run_alone(shard: str, draw: bool, cohort_only: bool, cluster: str) -> Callable[[StudyConfig, int], None] | None:
    """What is run without Prefect and Dask; None where the whole study is run with them."""
    from functools import partial

    from dlif_core.errors import ConfigurationError
    from flows.cli import serial_run
    from flows.serial import parse_shard

    asked = {"--shard": bool(shard), "--draw": draw, "--cohort-only": cohort_only, "--cluster": bool(cluster)}
    given = [option for option, is_given in asked.items() if is_given]
    if len(given) > 1:
        raise ConfigurationError(
            f"{' and '.join(given)} exclude each other.", where=given[0], hint=f"Leave out {given[-1]}."
        )
    if cohort_only:
        return serial_run.cohort
    return partial(serial_run.shard, parse_shard(shard)) if shard else None


def _print_results(config: StudyConfig, planned: Plan, store: Store) -> None:
    """Print the status of every scan, the comparison with a simulated truth and the report; exit by the status."""
    from dlif_core.study.products import COHORT
    from dlif_core.study.status import results, status_of
    from dlif_core.study.truth import compare_with_truth
    from flows.cli.tables import status_table, truth_table

    result = status_of(planned, store)
    print_rich(status_table(result))
    truth = compare_with_truth(config, store, planned.files, results(planned))
    if truth is not None:
        print_rich(truth_table(truth))
    if COHORT in planned.current:
        typer.echo(f"Report: {store.uri_of(COHORT)}/report.html")
    raise typer.Exit(result.exit_code)
