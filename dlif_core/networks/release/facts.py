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
from dlif_core.phantom.sites import Sites
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
    return " ".join(map(_described, parts))


def _described(part: Seeds) -> str:
    population = POPULATIONS[part.population]
    scans = f"{part.count} simulated scans of the population `{part.population}`"
    if isinstance(population, Sites):
        each = "each" if population.animals == 1 else f"{population.animals} of each"
        others = f"{population.other_tracers:.0%} of the laboratories a tracer with random rates"
        return f"{scans}, {each} of another laboratory (dlif_core.phantom.sites), {population.tracer}; at {others}."
    low, high = (1000.0 * edge for edge in _ends(population.of(part.first).body_weight))
    return f"{scans} (dlif_core.phantom.population): {population.of(part.first).tracer}, {low:g}-{high:g} g."


def _ends(span: Span) -> tuple[float, float]:
    return span.intervals[0][0], span.intervals[-1][1]
