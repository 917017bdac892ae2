"""``dlif run``: bring a study up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import StudyFile
from flows.cli.output import print_rich

if TYPE_CHECKING:
    from dlif_core.store import Store
    from dlif_core.study.config import StudyConfig
    from dlif_core.study.step import Plan

_WHERE = "Where the work is done"
_LOCAL = "local"


def run(
    study: StudyFile,
    cluster: Annotated[
        str,
        typer.Option(
            help="local for this machine, or the address of a Dask scheduler such as tcp://host:8786.",
            metavar="CLUSTER",
            rich_help_panel=_WHERE,
        ),
    ] = _LOCAL,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes on this machine; if left out, one for each core (with --shard: one).",
            metavar="COUNT",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            help="Process part i of n of the scans (1/4 … 4/4) without Prefect and Dask, for job arrays.",
            metavar="I/N",
            rich_help_panel=_WHERE,
        ),
    ] = "",
) -> None:
    """Bring a study up to date: only what is missing or has changed is computed."""
    from dlif_core.study.config import load_study
    from dlif_core.study.plan import make_plan, open_study_store

    part = _checked_shard(shard, cluster)
    config = load_study(study)
    store = open_study_store(config)
    planned = make_plan(config, store)
    if not planned.to_run:
        typer.echo("Everything is up to date.")
    else:
        if part is None:
            from flows.cli.terminal_flow import run_cohort

            run_cohort(study, cluster, workers)
        else:
            _run_shard(config, part, workers or 1)
        planned = make_plan(config, store)
    _print_results(config, planned, store)


def _checked_shard(shard: str, cluster: str) -> tuple[int, int] | None:
    """Index and number of shards, or None where the whole study is run."""
    from dlif_core.errors import ConfigurationError
    from flows.serial import parse_shard

    if not shard:
        return None
    if cluster != _LOCAL:
        raise ConfigurationError(
            "a shard is run on this machine, not on a cluster.", where="--shard", hint="Leave out --cluster."
        )
    return parse_shard(shard)


def _run_shard(config: StudyConfig, part: tuple[int, int], workers: int) -> None:
    from dlif_core.compute.cluster import open_pool
    from flows.serial import run_shard

    with open_pool(workers) as executor:
        run_shard(config, executor, *part)


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
    if store.marker(COHORT) is not None:
        typer.echo(f"Report: {store.uri_of(COHORT)}/report.html")
    raise typer.Exit(result.exit_code)
