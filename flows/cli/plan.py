"""``dlif plan``: what a run would do, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from flows.cli.options import AsJson, StudyFile
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from dlif_core.store import Store
    from dlif_core.study.config import StudyConfig
    from dlif_core.study.step import Plan


def plan(study: StudyFile, as_json: AsJson = False) -> None:
    """Show what `dlif run` would do, and why: which setting or file has changed."""
    from dlif_core.shown import counted
    from dlif_core.study.config import load_study
    from dlif_core.study.plan import as_record, make_plan, open_study_store

    config = load_study(study)
    store = open_study_store(config)
    planned = make_plan(config, store)
    if as_json:
        print_json([as_record(step) for step in planned.steps])
        return
    from flows.cli.tables import plan_table

    print_rich(plan_table(planned))
    typer.echo(f"{len(planned.to_run)} of {counted(len(planned.steps), 'step')} to run.")
    if planned.to_run:
        _print_memory(config, planned)
        _print_time(planned, store)


def _print_memory(config: StudyConfig, planned: Plan) -> None:
    """Say how much memory a worker needs for the largest step that will run."""
    from dlif_core.study.memory import largest_need

    need = largest_need(config, planned)
    if need is not None:
        block = " × ".join(str(edge) for edge in need.block)
        typer.echo(f"A worker needs up to {need.bytes / 1e9:.1f} GB: {need.title}, blocks of {block} voxels.")


def _print_time(planned: Plan, store: Store) -> None:
    """Say how long the steps will take, as far as earlier ones of their kinds tell."""
    from dlif_core.shown import counted
    from dlif_core.study.duration import expected_duration
    from dlif_core.study.stages.explanation import EXPLANATION

    expected = expected_duration(planned, store.products())
    if expected.longest:
        steps, (kind, seconds) = counted(expected.known, "step"), expected.longest
        typer.echo(
            f"About {_time(expected.seconds)} for {steps}, one after the other, as such steps took before; "
            f"{_time(seconds)} of it for {kind}. The start of Prefect and of the workers comes on top."
        )
    if expected.unknown:
        kinds = ", ".join(f"{count} {kind}" for kind, count in expected.unknown.items())
        typer.echo(f"How long these take is not known, as none was done yet: {kinds}.")
    if any(step.stage == EXPLANATION.name for step in planned.to_run):
        typer.echo(
            "The explanation of the learned input function takes some 10 s a scan; "
            "`learned: {explain: false}` in `input_functions` leaves it out, and changes no curve."
        )


def _time(seconds: float) -> timedelta:
    return timedelta(seconds=max(1, round(seconds)))
