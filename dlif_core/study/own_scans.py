"""A study's own scans with arterial blood, as examples that a network can be trained on further."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.networks.prediction.scan import network_scan
from dlif_core.networks.release.fine_tuning import OwnScan
from dlif_core.networks.training.examples import Example
from dlif_core.store import Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.plan import open_study_store
from dlif_core.study.products import input_function_name, source_name
from dlif_core.study.scans import included_scans
from dlif_core.study.source import read_scan

_ARTERIAL = "arterial"


def own_scans(config: StudyConfig) -> list[OwnScan]:
    """Scans of a study that have an image and an arterial input function.

    Parameters
    ----------
    config
        A study that was run, so that its scans and input functions are in its store.

    Returns
    -------
    The animal of a scan is the study's name and the subject; frame averages of the arterial whole blood are what a
    network is to find.

    Raises
    ------
    ConfigurationError
        If there is no such scan.
    InputError
        If dose or weight of such a scan is unknown.
    """
    store = open_study_store(config)
    found = list(_usable(config, store))
    if not found:
        raise ConfigurationError(
            "no scan of the study has an image and an arterial input function.",
            where=config.output,
            hint="Run `dlif run` with `arterial` among the input functions first.",
        )
    return found


def _usable(config: StudyConfig, store: Store) -> Iterator[OwnScan]:
    for name, files in included_scans(config).items():
        markers = [store.marker(product) for product in (source_name(name), input_function_name(name, _ARTERIAL))]
        if all(marker is not None and marker.status == "success" for marker in markers):
            example = _example(store, name)
            if example is not None:
                yield OwnScan(f"{config.name}:{files.subject}", name, example)


def _example(store: Store, name: str) -> Example | None:
    """The scan on the networks' grid, without tissues; None if it has no image."""
    scan, _ = read_scan(store, name)
    if scan.activity is None:
        return None
    image, factor = network_scan(scan), scan.acquisition.suv_factor
    assert factor is not None, "network_scan refuses scans without dose or weight"
    blood, _ = read_input_function(store, name, _ARTERIAL).frame_average(scan.timing)
    return Example(
        scan=image,
        tissues=image.activity.new_zeros(0, *image.activity.shape[1:]),
        displacement=image.activity.new_zeros(len(scan.timing), 3),
        whole_blood=torch.from_numpy((blood * factor).astype(np.float32)),
    )
