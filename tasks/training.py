"""Prefect tasks of a training: one network, and the model made of all of them."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from dlif_core.compute.pool import open_mapper
from dlif_core.networks.release.build import finish_model, train_run
from dlif_core.networks.release.recipe import ModelRecipe, Run


@task(name="train-network", task_run_name="network {run.name}", persist_result=False, cache_policy=NO_CACHE)
def train_run_task(output: Path, recipe: ModelRecipe, run: Run) -> None:
    """Train one network, or resume its training."""
    train_run(output, recipe, run)


@task(name="finish-model", task_run_name="{recipe.name}", persist_result=False, cache_policy=NO_CACHE)
def finish_model_task(output: Path, recipe: ModelRecipe) -> str:
    """Calibrate trained members, fit their scope, write the model; returns its digest."""
    with open_mapper() as mapper:
        return finish_model(output, recipe, mapper=mapper).digest
