"""The time axis of a blood file: seconds from the TimeZero of the scan that it was sampled for.

A blood file without a run is named for all runs of its visit. Runs of one injection may have a TimeZero each; blood is
sampled once, and its times count from one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlif_core.checks import Finding
from dlif_core.checks.metadata import BLOOD_CLOCK
from dlif_core.errors import BloodError, DlifError
from dlif_core.ingest.bids.fields import between, clock, time_of_day
from dlif_core.ingest.bids.metadata import Metadata
from dlif_core.ingest.bids.sidecar import Sidecar
from dlif_core.ingest.reader import ScanFiles
from dlif_core.ingest.tables import is_given
from dlif_core.shown import shown

#: Clock times of one event differ by rounding and by two clocks [s].
_SAME_ZERO, _SAME_INJECTION = 1.0, 60.0


@dataclass(frozen=True)
class _Scan:
    """Another scan that a blood file is named for: its name, and how long before this scan's its TimeZero is [s]."""

    name: str
    earlier: float
    zero: str


def injection_in_blood(
    files: ScanFiles, metadata: Metadata, uri: str, fields: Mapping[str, Any]
) -> tuple[float, tuple[Finding, ...]]:
    """Return the time of injection on the axis of a blood file [s], and what was assumed.

    A TimeZero in the blood's own sidecar counts. Else, where the file is named for several scans of one injection with
    a TimeZero each, times count from the earliest of these.

    Parameters
    ----------
    files, metadata
        The scan.
    uri, fields
        The blood file and its sidecar.

    Raises
    ------
    BloodError
        If the file is named for scans of several injections or tracers, or its own TimeZero can't be read.
    """
    injection = metadata.injection_start
    if is_given(fields.get("TimeZero")):
        return _by_own_zero(metadata, uri, fields["TimeZero"])
    others = list(_others(files, metadata, uri))
    if not any(abs(other.earlier) > _SAME_ZERO for other in others):
        return injection, ()
    first = max(others, key=lambda other: other.earlier)
    if first.earlier <= _SAME_ZERO:
        message = (
            "The file is named for scans with different TimeZero; its times are taken from this scan's, the earliest."
        )
        return injection, (BLOOD_CLOCK.found(message, where=uri),)
    message = (
        f"The file is named for scans with different TimeZero; its times are taken from that of {first.name}, "
        f"{first.zero}, {first.earlier:g} s before this scan's."
    )
    return injection + first.earlier, (BLOOD_CLOCK.found(message, where=uri),)


def _by_own_zero(metadata: Metadata, uri: str, stated: object) -> tuple[float, tuple[Finding, ...]]:
    zero = clock(stated)
    if zero is None:
        hint = "Write hh:mm:ss, or leave it out if it is that of the scan."
        raise BloodError(f"TimeZero of the blood is {shown(stated)}, not a clock time.", where=uri, hint=hint)
    if metadata.time_zero is None or abs(between(zero, metadata.time_zero)) <= _SAME_ZERO:
        return metadata.injection_start, ()
    earlier = between(zero, metadata.time_zero)
    message = f"Times count from the blood's own TimeZero, {time_of_day(stated)}, {earlier:g} s before the scan's."
    return metadata.injection_start + earlier, (BLOOD_CLOCK.found(message, where=uri),)


def _others(files: ScanFiles, metadata: Metadata, uri: str) -> Iterator[_Scan]:
    """The other scans that the file is named for and whose TimeZero is known."""
    named = _entities(uri.rsplit("/", 1)[-1].removesuffix("_blood.tsv"))
    named.pop("recording", None)
    for role, sidecars in files.files.items():
        kind, _, name = role.partition("/")
        if kind != "beside" or not named.items() <= _entities(name).items():
            continue
        _require_same_tracer(files.scan_id, name, uri)
        other = _read(sidecars)
        zero = None if other is None else clock(other.fields.get("TimeZero"))
        if other is None or zero is None or metadata.time_zero is None:
            continue
        earlier = between(zero, metadata.time_zero)
        _require_same_injection(metadata.injection_start, other.times().injection - earlier, files, name, uri)
        yield _Scan(name, earlier, time_of_day(other.fields["TimeZero"]))


def _read(sidecars: tuple[str, ...]) -> Sidecar | None:
    """The sidecar of another scan; None where it can't be read, which is told of that scan."""
    try:
        return Sidecar.read(sidecars)
    except DlifError:
        return None


def _entities(name: str) -> dict[str, str]:
    pairs = (part.partition("-") for part in name.split("_"))
    return {key: value for key, dash, value in pairs if dash}


def _require_same_tracer(scan: str, other: str, uri: str) -> None:
    if _entities(scan).get("trc") != _entities(other).get("trc"):
        raise BloodError(
            f"the file is named for scans of two tracers, {scan} and {other}.",
            where=uri,
            hint="Name it after its scan, with trc-<label>.",
        )


def _require_same_injection(own: float, other: float, files: ScanFiles, name: str, uri: str) -> None:
    if abs(own - other) > _SAME_INJECTION:
        raise BloodError(
            f"the file is named for scans of two injections, {files.scan_id} and {name}: by TimeZero and "
            f"InjectionStart they are {abs(own - other):g} s apart.",
            where=uri,
            hint="Name it after its scan, with run-<index>; or correct TimeZero and InjectionStart.",
        )
