"""A scan as a release holds it: what stands in a list of fields, in the terms of PET-BIDS, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.ingest.bids.vocabulary import kept_words
from dlif_core.ingest.bids.writing import with_required_fields
from dlif_core.ingest.described import DescribedScan, DescribedTable
from dlif_core.scan import DynamicScan

_ACTIVITY = {"Units": "Bq/mL"}
_TIME = {"Units": "s", "Description": "Time from injection"}
_BLOOD = {"whole_blood": "whole_blood_radioactivity", "plasma": "plasma_radioactivity"}
_PARENT = "metabolite_parent_fraction"
#: What is told of how an input function was made, beside its method.
_MADE, _FACTS = ("model", "scope", "level"), ("digest", "state", "score")


def released_scan(scan: DynamicScan, recordings: Sequence[BloodRecording], words: Mapping[str, Any]) -> DescribedScan:
    """A scan without image, dates and free text.

    Parameters
    ----------
    scan
        The scan.
    recordings
        Blood recordings of the scan; what can't be used is left out.
    words
        Fields of the sidecar of which known words are kept, see `dlif_core.ingest.bids.vocabulary`.

    Returns
    -------
    All times count from injection, and all activities are decay-corrected to it. The clock begins at midnight.
    """
    usable = [one for one in recordings if not one.refused and len(one.time)]
    names = _recording_names(usable)
    return DescribedScan(
        fields=with_required_fields({**_fields(scan), **kept_words(words)}),
        source="",
        blood={name: _blood_table(one) for name, one in zip(names, usable, strict=True)},
        curves=_curves(scan),
    )


def _fields(scan: DynamicScan) -> dict[str, Any]:
    acquisition = scan.acquisition
    dose = acquisition.injected_activity
    half_life = acquisition.half_life if math.isfinite(acquisition.half_life) else None
    return {
        "TracerName": acquisition.tracer or None,
        "RadionuclideHalfLife": half_life,
        "Units": "Bq/mL",
        "InjectedRadioactivity": dose / 1e6 if dose else None,
        "InjectedRadioactivityUnits": "MBq",
        "BodyWeight": acquisition.body_weight or None,
        "BodyWeightUnits": "kg",
        "TimeZero": "00:00:00",
        "ScanStart": float(scan.timing.start[0]),
        "InjectionStart": 0,
        "FrameTimesStart": scan.timing.start.tolist(),
        "FrameDuration": scan.timing.duration.tolist(),
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
    }


def _curves(scan: DynamicScan) -> DescribedTable:
    regions = scan.regions
    times: dict[str, Sequence[object]] = {
        "frame_start": scan.timing.start.tolist(),
        "frame_end": scan.timing.end.tolist(),
    }
    columns = times | dict(zip(regions.names, regions.activity.tolist(), strict=True))
    units = {"frame_start": _TIME, "frame_end": _TIME, **dict.fromkeys(regions.names, _ACTIVITY)}
    return DescribedTable(columns, units, "")


def released_volumes(scan: DynamicScan) -> DescribedTable | None:
    """Volumes of the regions; None where none is known."""
    if not np.isfinite(scan.regions.volume).any():
        return None
    columns: dict[str, Sequence[object]] = {"name": scan.regions.names, "volume-mm3": scan.regions.volume.tolist()}
    return DescribedTable(columns, {"volume-mm3": {"Units": "mm3"}}, "")


def _recording_names(recordings: Sequence[BloodRecording]) -> list[str]:
    """Names that say how and from where blood was taken; those of the data may hold anything."""
    kinds = [_kind(one) for one in recordings]
    return [
        f"{kind}{kinds[:place].count(kind) + 1}" if kinds.count(kind) > 1 else kind for place, kind in enumerate(kinds)
    ]


def _kind(recording: BloodRecording) -> str:
    way = "autosampler" if recording.is_automatic else "manual"
    return way if recording.arterial else f"{way}venous"


def _blood_table(recording: BloodRecording) -> DescribedTable:
    columns: dict[str, Sequence[object]] = {"time": recording.time.tolist()}
    fields: dict[str, Any] = {"time": _TIME}
    for name, column in _BLOOD.items():
        if getattr(recording, name) is not None:
            columns[column], fields[column] = getattr(recording, name).tolist(), _ACTIVITY
    if recording.parent_fraction is not None:
        columns[_PARENT], fields[_PARENT] = recording.parent_fraction.tolist(), {"Units": "1"}
    measured = {"PlasmaAvail": "plasma", "WholeBloodAvail": "whole_blood", "MetaboliteAvail": "parent_fraction"}
    facts: dict[str, Any] = {field: getattr(recording, name) is not None for field, name in measured.items()}
    if recording.dispersion:
        facts |= {"DispersionCorrected": False, "DispersionConstant": recording.dispersion}
    return DescribedTable(columns, {**fields, **facts}, "")


def released_input_function(curve: InputFunction) -> DescribedTable:
    """An input function with its band, and what of its provenance names no file."""
    columns: dict[str, Sequence[object]] = {
        "time": curve.time.tolist(),
        "whole_blood_radioactivity": curve.whole_blood.tolist(),
        "AIF": curve.plasma.tolist(),
    }
    for name in ("lower", "upper"):
        if getattr(curve, name) is not None:
            columns[name] = getattr(curve, name).tolist()
    fields: dict[str, Any] = {name: _TIME if name == "time" else _ACTIVITY for name in columns}
    return DescribedTable(columns, {**fields, "Method": curve.method, **dict(_made(curve.provenance))}, "")


def _made(provenance: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _MADE:
        value = provenance.get(name)
        if isinstance(value, Mapping):
            plain = {key: one for key, one in value.items() if key in _FACTS}
            yield name.title(), plain
        elif isinstance(value, int | float) and np.isfinite(value):
            yield name.title(), value
