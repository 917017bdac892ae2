"""Parametric maps of an image in memory, on disk or in dask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.api.arrays import from_arrays
from dlif_core.api.fits import warnings_of
from dlif_core.api.inputs import input_of_fit
from dlif_core.api.notices import warn
from dlif_core.api.pet_scan import PetScan
from dlif_core.api.scan_argument import as_scan
from dlif_core.api.settings import fit_settings
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, ImageError
from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, DynamicScan

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.kinetics import Preparation, VoxelFit

#: A block of a dask image with all its frames is split if it is larger than this [bytes].
_LARGEST_BLOCK = 128 * 2**20


def fit_image(
    image: Any,
    model: str,
    *,
    input_function: InputFunction | str | None = None,
    timing: FrameTiming | None = None,
    units: str | None = None,
    radionuclide: str | None = None,
    acquisition: Acquisition | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Fit a kinetic model to every voxel of a dynamic image.

    What all voxels share is settled first: frame weights, ``delay="image"``, ``t_star="find"`` and the like. They are
    fitted to the mean curve of the scan's regions, or of the whole image where it has none.

    Parameters
    ----------
    image
        A scan with an image, or the image itself, shape (frames, z, y, x): NumPy, xarray or dask, see `from_arrays`.
        Maps of a dask image are lazy: a block of maps is computed from a block of the image that holds all frames of
        its voxels. Blocks in space stay as they are; those above 128 MiB are split.
    model
        A name in `MODELS`.
    input_function
        Curve or name of a method as `fit` takes it; an image that is not a scan needs a curve.
    timing, units, radionuclide, acquisition
        What `from_arrays` has to know of an image that is not a scan and does not state it.
    **settings
        Any of `FitSettings`.

    Returns
    -------
    A map of every parameter and its standard error ``<parameter>_se``, ``status`` (`FitStatus`) and ``rss``, with the
    dimensions and coordinates of the image.

    Raises
    ------
    ConfigurationError
        If model or a setting is unknown or not possible, as a delay of its own for each voxel.
    InputError
        If image or input function can't serve; contradicting units are a `UnitError`.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> maps = dlif.fit_image(image, "patlak", t_star=15)
    >>> maps["Ki"].dims, maps["Ki"].attrs["units"], maps["Ki"].round(3).values.ravel().tolist()
    (('z', 'y', 'x'), 'mL cm-3 min-1', [0.027, 0.021])

    Of a dask image the maps are lazy.

    >>> lazy = dlif.fit_image(dask_image, "patlak", t_star=15)
    >>> type(lazy["Ki"].data).__module__.split(".")[0]
    'dask'
    """
    from dlif_core.kinetics import prepare

    scan = _scan_of(image, {"timing": timing, "units": units, "radionuclide": radionuclide, "acquisition": acquisition})
    chosen = fit_settings(model, settings)
    if chosen.delay == "region":
        raise ConfigurationError(
            "voxels have no delay of their own.",
            where="fit setting delay",
            hint='Use delay="image": one delay for all voxels, fitted to the mean curve.',
        )
    curve = input_of_fit(scan, chosen.kinetic_model, input_function)
    prepared = prepare(scan.dynamic, curve, chosen)
    maps = _maps(scan, prepared)
    maps.attrs["warnings"] = list(warnings_of(scan, curve))
    warn(() if curve is None else curve.warnings)
    return maps


def _scan_of(image: Any, described: Mapping[str, Any]) -> PetScan:
    """The scan that is given, or that an image alone makes up."""
    if isinstance(image, PetScan | DynamicScan):
        given = [name for name, value in described.items() if value is not None]
        if given:
            raise ConfigurationError(
                f"{' and '.join(given)} can't be given for a scan.",
                where="dlif.fit_image",
                hint="A scan has its own; leave it out.",
            )
        scan = as_scan(image)
    else:
        scan = from_arrays(image, **described)
    if scan.image is None:
        raise ImageError(
            "the scan has no image.", where="dlif.fit_image", hint="Give an image, or fit its regions with dlif.fit."
        )
    return scan


@dataclass(frozen=True, eq=False)
class _Layers:
    """All maps of a fit as layers of one array, so that dask computes a block of them in one go.

    Attributes
    ----------
    fit
        The fit of a block of voxels.
    layers
        Number of layers of every map: several where it has the dimension ``factor``.
    """

    fit: VoxelFit
    layers: Mapping[str, int]

    def __call__(self, block: NDArray[Any]) -> NDArray[np.float64]:
        """Maps of a block of shape (frames, z, y, x), shape (layers, z, y, x)."""
        found = self.fit.fit(block.reshape(len(block), -1))
        stacked = np.concatenate([np.asarray(found[name], float).reshape(n, -1) for name, n in self.layers.items()])
        return stacked.reshape(-1, *block.shape[1:])

    @property
    def number(self) -> int:
        """Number of layers of all maps together."""
        return sum(self.layers.values())


def _maps(scan: PetScan, prepared: Preparation) -> xr.Dataset:
    import xarray as xr

    from dlif_core.kinetics import VoxelFit, fit_attributes
    from dlif_core.kinetics.uncertainty.propagation import leading_dims

    fit = VoxelFit(prepared)
    _ = fit.estimator  # refuses here what no block could be fitted with
    layers = _Layers(fit, {name: fit.factors if leading_dims(name) else 1 for name in fit.variables})
    stacked, variables, first = _stacked(scan.image, layers), {}, 0
    for name, attributes in fit.variables.items():
        part = stacked[first : first + layers.layers[name]]
        values = part if leading_dims(name) else part[0]
        values = values.astype(np.uint8) if name == "status" else values
        variables[name] = ((*leading_dims(name), *scan.spatial_dims), values, attributes)
        first += layers.layers[name]
    attributes = fit_attributes(prepared) | {"delay": prepared.delay}
    if scan.dynamic.affine is not None:
        attributes["affine"] = np.asarray(scan.dynamic.affine).tolist()
    return xr.Dataset(variables, coords=dict(scan.spatial_coords), attrs=attributes)


def _stacked(image: Any, layers: _Layers) -> Any:
    """All layers of an image: lazy for a dask image, else plane by plane so that memory stays bounded."""
    if not (hasattr(image, "map_blocks") and hasattr(image, "rechunk")):
        planes = [layers(np.asarray(image[:, z : z + 1])) for z in range(image.shape[1])]
        return np.concatenate(planes, axis=1)
    whole = _with_all_frames(image)
    return whole.map_blocks(
        layers, dtype=np.float64, chunks=((layers.number,), *whole.chunks[1:]), meta=np.empty((0,) * 4)
    )


def _with_all_frames(image: Any) -> Any:
    """A dask image whose blocks hold all frames of their voxels."""
    whole = image.rechunk({0: -1})
    if np.prod(whole.chunksize) * whole.dtype.itemsize <= _LARGEST_BLOCK:
        return whole
    return whole.rechunk({0: -1, 1: "auto", 2: "auto", 3: "auto"}, block_size_limit=_LARGEST_BLOCK)
