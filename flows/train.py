"""The training of a model as a Prefect flow: every member, then calibration and scope, the card as an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from dlif_core.networks.bundle.folder import CARD
from dlif_core.networks.release.build import needed_runs, settled_recipe
from flows.parameters import Count, described
from tasks.training import finish_model_task, train_run_task


@flow(name="train", flow_run_name="{output}")
def train(
    output: Annotated[str, described("Folder of the model, as the worker sees it; training there is resumed.")],
    recipe: Annotated[
        str | None,
        described("YAML file; left out, the recipe that the folder was begun with, or that of the shipped model."),
    ] = None,
    members: Annotated[Count | None, described("Networks of the ensemble; left out, as the recipe says.")] = None,
    scans: Annotated[Count | None, described("Scans to train on; left out, as the recipe says.")] = None,
    steps: Annotated[Count | None, described("Updates of each network; left out, as the recipe says.")] = None,
) -> str:
    """Make a model from a recipe, or resume making it; one network after the other.

    Returns
    -------
    Digest of the model.
    """
    folder, path = Path(output), None if recipe is None else Path(recipe)
    settled = settled_recipe(folder, path, members=members, scans=scans, steps=steps)
    for run in needed_runs(folder, settled):
        train_run_task(folder, settled, run)
    digest = finish_model_task(folder, settled)
    create_markdown_artifact((folder / CARD).read_text(encoding="utf-8"), key="model-card")
    return digest
