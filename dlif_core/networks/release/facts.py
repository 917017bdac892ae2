"""Facts of a training for the model card: seeds, updates, errors, arithmetic, hardware and population."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import torch

from dlif_core.networks.release.recipe import POPULATIONS, Seeds
from dlif_core.networks.training.run import TrainingRun
from dlif_core.phantom import Population
from dlif_core.phantom.span import Span


def trained_facts(trainings: Sequence[TrainingRun[Any, Any]], population: str, limits: Sequence[str]) -> dict[str, Any]:
    """Facts of the trainings of an ensemble, as plain values for the manifest and the card."""
    return {
        "population": population,
        "hardware": hardware(),
        "limits": list(limits),
        "members": [
            {
                "seed": training.recipe.seed,
                "parameters": sum(parameter.numel() for parameter in training.network.parameters()),
                "updates": training.step,
                "best_update": training.best_entry.step,
                "rmse": training.best_entry.rmse,
                "arithmetic": ", then ".join(training.arithmetics),
            }
            for training in trainings
        ],
    }


def training_log(trainings: Sequence[TrainingRun[Any, Any]]) -> str:
    """Log of all members as TSV with the columns member, step, loss and rmse."""
    rows = [{"member": k, **asdict(entry)} for k, training in enumerate(trainings, start=1) for entry in training.log]
    return pd.DataFrame(rows).to_csv(sep="\t", index=False, float_format="%.6g")


def hardware() -> str:
    """Description of this computer's processor and GPU."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"CPU ({platform.machine()}, {os.cpu_count()} cores), {gpu}"


def population_text(parts: Sequence[Seeds]) -> str:
    """Describe the populations of the training scans in a few sentences."""
    return " ".join([_first_population(POPULATIONS[parts[0].population]), *map(_further_population, parts[1:])])


def _further_population(part: Seeds) -> str:
    populations = "dlif_core.networks.training.populations"
    return f"A further {part.count} scans are of the population `{part.population}` of {populations}."


def _first_population(population: Population) -> str:
    low, high = (1000.0 * edge for edge in _ends(population.body_weight))
    scans = population.acquisition
    frames = sorted(sum(count for count, _ in schedule) for schedule in scans.schedules)
    fwhm, voxel = _ends(scans.resolution), _ends(scans.voxel_size)
    return (
        f"Simulated scans of the population `{population.name}` of dlif_core.phantom: {population.species}, "
        f"{population.tracer}, {low:g}-{high:g} g, {population.fasted_share:.0%} fasted, "
        f"{frames[0]} to {frames[-1]} frames by {len(frames)} schedules, {scans.end.share:.0%} of scans cut short, "
        f"resolution {fwhm[0]:g}-{fwhm[1]:g} mm, voxels {voxel[0]:g}-{voxel[1]:g} mm, motion between frames."
    )


def _ends(span: Span) -> tuple[float, float]:
    return span.intervals[0][0], span.intervals[-1][1]
