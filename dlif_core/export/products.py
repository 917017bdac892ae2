"""What exporters write: the results of scans, as they were committed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.curve import InputFunction
    from dlif_core.scan import DynamicScan
    from dlif_core.store import Marker


@dataclass(frozen=True, eq=False)
class ExportedScan:
    """A scan and everything that was made of it.

    Attributes
    ----------
    scan_id
        Name of the scan.
    subject, session
        Names of the subject and of the session; "" where the data have none.
    scan
        Frames, metadata, region curves, labels and affine; its image is not exported.
    source
        Commit marker of the scan as it was read; its parts hold the digests of the input files.
    provenance
        How the scan was read: plain values by name.
    input_functions
        Curve by method.
    regions
        Kinetic parameters of regions by analysis: datasets with the dimension ``region``.
    maps
        Parametric maps by analysis: datasets with the dimensions z, y, x, read when they are used.
    created
        When the maps of an analysis were committed, ISO 8601 in UTC.
    """

    scan_id: str
    subject: str
    session: str
    scan: DynamicScan
    source: Marker
    provenance: Mapping[str, Any]
    input_functions: Mapping[str, InputFunction]
    regions: Mapping[str, xr.Dataset]
    maps: Mapping[str, xr.Dataset]
    created: Mapping[str, str]

    @property
    def input_digests(self) -> dict[str, str]:
        """The sha256 of every input file by its path below the data set."""
        parts = self.source.parts.items()
        return {name.removeprefix("file "): digest for name, digest in parts if name.startswith("file ")}


@dataclass(frozen=True)
class ExportedStudy:
    """A study whose results are exported.

    Attributes
    ----------
    name
        Name of the study.
    version
        Version of dlif that exports it.
    data
        URI of the data set; results name files below it.
    scan_ids
        Names of the scans, in order.
    open_scan
        Opens a scan by its name.
    """

    name: str
    version: str
    data: str
    scan_ids: tuple[str, ...]
    open_scan: Callable[[str], ExportedScan]

    def scans(self) -> Iterator[ExportedScan]:
        """The scans one after the other, so that only one is in memory."""
        return map(self.open_scan, self.scan_ids)

    def below_data(self, value: Any) -> Any:
        """Plain values in which files of the data set are named from its root: other places say nothing elsewhere."""
        if isinstance(value, str):
            return value.replace(f"{self.data.rstrip('/')}/", "")
        if isinstance(value, Mapping):
            return {str(key): self.below_data(one) for key, one in value.items()}
        return [self.below_data(one) for one in value] if isinstance(value, list | tuple) else value


def settings_of(fit: xr.Dataset) -> dict[str, Any]:
    """Settings of a kinetic analysis, plain values by name."""
    return dict(json.loads(fit.attrs["settings"]))


def found_by(fit: xr.Dataset) -> dict[str, Any]:
    """What a kinetic analysis determined for all curves in common, such as t* or the delay, by name."""
    shared = {name: fit.attrs[name] for name in ("t_star", "k2_prime", "delay", "denoise") if name in fit.attrs}
    return {**json.loads(fit.attrs.get("found", "{}")), **shared}


def weights_digest(curve: InputFunction) -> str:
    """Digest of the trained model that predicted an input function; "" for all other methods."""
    model = curve.provenance.get("model")
    return str(model.get("digest", "")) if isinstance(model, Mapping) else ""
