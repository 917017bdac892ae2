"""A study's own scans with arterial blood, as examples that a network can be trained on further.

Every scan is either used, with frames masked whose blood is unknown, or left out with a reason, before training begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.blood_samples.merge import merge
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError, ConfigurationError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function.arterial import ArterialOptions
from dlif_core.input_function.learned import require_in_scope
from dlif_core.networks.bundle.model import LearnedModel
from dlif_core.networks.calibration.cases import predicted_curve
from dlif_core.networks.prediction.ensemble import predict_ensemble
from dlif_core.networks.prediction.scan import NetworkScan, network_scan
from dlif_core.networks.release.own_scan import OwnScan, WholeBlood
from dlif_core.networks.release.runs import Progress, Report, silent
from dlif_core.networks.scope.assessment import precheck
from dlif_core.networks.training.examples import Example
from dlif_core.store import Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.plan import open_study_store
from dlif_core.study.products import input_function_name, source_name
from dlif_core.study.scans import included_scans
from dlif_core.study.source import read_scan

Array = NDArray[np.float64]

_ARTERIAL = "arterial"
# a first sample above these parts of the highest one: the blood before it is unknown; the bolus itself was missed
_ARRIVED, _MISSED = 0.1, 0.5
# least part of the scan, from injection on, whose blood was measured
_LEAST_KNOWN = 0.5


class OwnScans(NamedTuple):
    """Scans of a study for training a model further.

    Attributes
    ----------
    scans
        Scans that are used.
    left_out
        Reason against each other scan of the study, by its name.
    """

    scans: tuple[OwnScan, ...]
    left_out: Mapping[str, str]


def own_scans(config: StudyConfig, base: LearnedModel, report: Report = silent) -> OwnScans:
    """Scans of a study that have an image in the scope of a model, and arterial blood.

    Parameters
    ----------
    config
        A study that was run, so that its scans and input functions are in its store.
    base
        Model that is to be trained further. What is out of its scope would get no curve of the new model either, which
        keeps that scope.
    report
        Called with the progress after every scan.

    Returns
    -------
    The animal of a scan is the study's name and the subject; frame averages of the arterial whole blood are what a
    network is to find, NaN in frames whose blood was not measured.

    Raises
    ------
    ConfigurationError
        If there is no such scan; the hint has the reasons.
    """
    store, files = open_study_store(config), included_scans(config)
    scans: list[OwnScan] = []
    left_out: dict[str, str] = {}
    for done, name in enumerate(files, start=1):
        try:
            example, blood = _example(base, store, name)
            scans.append(OwnScan(f"{config.name}:{files[name].subject}", name, example, blood))
        except InputError as fault:
            left_out[name] = str(fault)
        report(Progress("scans", done, len(files), f"{len(left_out)} left out"))
    if not scans:
        raise ConfigurationError(
            "no scan of the study has an image in the model's scope and arterial blood.",
            where=config.output,
            hint="Run `dlif run` with `arterial` among the input functions first. "
            + " ".join(f"{name}: {reason}" for name, reason in left_out.items()),
        )
    return OwnScans(tuple(scans), left_out)


def _example(base: LearnedModel, store: Store, name: str) -> tuple[Example, WholeBlood]:
    """The scan on the networks' grid, without tissues, if it is in the model's scope, and the curve of its blood.

    Raises
    ------
    InputError
        If the scan can't be used.
    """
    for product in (source_name(name), input_function_name(name, _ARTERIAL)):
        _require_success(store, product)
    scan, recordings = read_scan(store, name)
    require_in_scope(precheck(scan, base.subject), base)
    image, factor = network_scan(scan, subject=base.subject), scan.acquisition.suv_factor
    assert factor is not None, "network_scan refuses scans without dose or weight"
    curve = read_input_function(store, name, _ARTERIAL)
    blood = measured_average(curve, recordings, scan.timing)
    _require_prediction(base, image, scan.acquisition.tracer)
    example = Example(
        scan=image,
        tissues=image.activity.new_zeros(0, *image.activity.shape[1:]),
        displacement=image.activity.new_zeros(len(scan.timing), 3),
        whole_blood=torch.from_numpy((blood * factor).astype(np.float32)),
    )
    return example, WholeBlood(curve.time, factor * curve.whole_blood)


def _require_success(store: Store, product: str) -> None:
    marker = store.marker(product)
    if marker is None:
        raise InputError("it was not made.", where=product, hint="Run `dlif run` with `arterial` first.")
    if marker.status != "success":
        raise InputError(marker.reason, where=marker.where or product, hint=marker.hint)


def measured_average(curve: InputFunction, recordings: Sequence[BloodRecording], timing: FrameTiming) -> Array:
    """Frame averages of arterial whole blood where it was measured.

    Parameters
    ----------
    curve
        Arterial input function.
    recordings
        Recordings from which it was made.
    timing
        Start and duration of the frames.

    Returns
    -------
    Shape (frames,) [Bq/mL]. Zero before the injection. NaN in frames further after the last sample than the arterial
    method extrapolates by default, and in those before the first sample if that already shows the bolus.

    Raises
    ------
    BloodError
        If the bolus was not sampled, or less than half of the scan.
    """
    blood = merge(recordings)
    series = blood.whole_blood or blood.plasma
    assert series is not None, "merge refuses recordings without activity"
    first, last = series.time[[0, -1]] + curve.provenance["options"]["delay_s"]
    share = series.value[0] / series.value.max()
    if first > 0 and share > _MISSED:
        raise BloodError(
            f"the first arterial sample, at {first:g} s, has {share:.0%} of the highest activity; the bolus before it "
            "is unknown.",
            where=blood.source,
        )
    reach = last / (1.0 - ArterialOptions().max_extrapolation)
    unknown = (timing.end > reach) | ((timing.mid > 0) & (timing.mid < first) & (share > _ARRIVED))
    after = np.maximum(timing.end, 0.0) - np.maximum(timing.start, 0.0)
    known = float(after[~unknown].sum() / max(after.sum(), 1e-9))
    if known < _LEAST_KNOWN:
        raise BloodError(
            f"arterial blood, sampled from {first:g} to {last:g} s, is known for {known:.0%} of the scan, which ends "
            f"at {timing.end[-1]:g} s; it takes {_LEAST_KNOWN:.0%}.",
            where=blood.source,
        )
    return np.where(unknown, np.nan, curve.frame_average(timing)[0])


def _require_prediction(base: LearnedModel, scan: NetworkScan, tracer: str) -> None:
    """Refuse a scan for which the model gives no curve, by its image and prediction.

    Raises
    ------
    InputError
        If it does not.
    """
    prediction = predict_ensemble(base.networks, scan)
    predicted_curve(prediction)
    require_in_scope(base.scope.check(prediction, scan, tracer), base)
