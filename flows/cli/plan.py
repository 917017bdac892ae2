"""``dlif plan``: what a run would do, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.cli.options import AsJson, StudyFile
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from dlif_core.study.config import StudyConfig
    from dlif_core.study.step import Plan


def plan(study: StudyFile, as_json: AsJson = False) -> None:
    """Show what `dlif run` would do, and why: which setting or file has changed."""
    from dlif_core.study.config import load_study
    from dlif_core.study.plan import as_record, make_plan, open_study_store

    config = load_study(study)
    planned = make_plan(config, open_study_store(config))
    if as_json:
        print_json([as_record(step) for step in planned.steps])
        return
    from flows.cli.tables import plan_table

    print_rich(plan_table(planned))
    typer.echo(f"{len(planned.to_run)} of {len(planned.steps)} steps to run.")
    _print_memory(config, planned)


def _print_memory(config: StudyConfig, planned: Plan) -> None:
    """Say how much memory a worker needs for the largest step that will run."""
    from dlif_core.study.memory import largest_need

    need = largest_need(config, planned)
    if need is not None:
        block = " × ".join(str(edge) for edge in need.block)
        typer.echo(f"A worker needs up to {need.bytes / 1e9:.1f} GB: {need.title}, blocks of {block} voxels.")
