"""Distribution of the features of sound scans, and the distance of a scan from it.

Features are centred on their median and scaled by a robust standard deviation; their correlation is shrunk towards
independence. A scan is judged by the features that it shows: in all directions, which is Mahalanobis' distance, or in
the one direction in which a fault would shift them, which is Fisher's discriminant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dlif_core.networks.scope.orientation import rounded

Array = NDArray[np.float64]
#: Features of a scan by name.
FeatureValues = Mapping[str, float]
Item = TypeVar("Item")

_FOLDS = 5
_SHRINKAGE, _SMALLEST = 0.1, 0.02
# a feature counts as so many spreads from its centre at most, in the fit and in a check
_CLIPPED, _LARGEST = 4.0, 30.0
_NARROWEST = 0.01  # spread; features are logarithms


@dataclass(frozen=True, eq=False)
class Domain:
    """Distribution of the features of one aspect in sound scans.

    Attributes
    ----------
    names
        Names of the features.
    centre, spread
        Median and robust standard deviation, shape (features,).
    correlation
        Shrunk correlation, shape (features, features).
    shift
        Shift of the features by a fault, in spreads, shape (features,); zero if all directions count.
    limit
        Largest distance of a scan that is in scope.
    """

    names: tuple[str, ...]
    centre: Array
    spread: Array
    correlation: Array
    shift: Array
    limit: float = 1.0

    def deviations(self, features: FeatureValues) -> Array:
        """Deviations of features from their centres in spreads, shape (features,); NaN for missing ones."""
        values = np.array([features.get(name, np.nan) for name in self.names])
        return np.clip((values - self.centre) / self.spread, -_LARGEST, _LARGEST)

    def distance(self, features: FeatureValues) -> float:
        """Distance in units of the limit: root mean square of decorrelated deviations, or towards the fault."""
        deviations = self.deviations(features)
        shown = np.isfinite(deviations)
        if not shown.any():
            return 0.0
        kept, shift = deviations[shown], self.shift[shown]
        correlation = self.correlation[np.ix_(shown, shown)]
        if not shift.any():
            return float(np.sqrt(kept @ np.linalg.solve(correlation, kept) / len(kept))) / self.limit
        weights = np.linalg.solve(correlation, shift)
        return max(0.0, float(kept @ weights / np.sqrt(shift @ weights))) / self.limit

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        numbers = {name: rounded(getattr(self, name)) for name in ("centre", "spread", "correlation", "shift")}
        return {"names": list(self.names), **numbers, "limit": self.limit}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Domain:
        """Read what `to_dict` wrote."""
        centre, spread, correlation, shift = (
            np.array(kept[name]) for name in ("centre", "spread", "correlation", "shift")
        )
        return cls(tuple(kept["names"]), centre, spread, correlation, shift, float(kept["limit"]))


def fit_domain(
    rows: Sequence[FeatureValues], within: float, room: float, faulty: Sequence[Sequence[FeatureValues]] | None = None
) -> Domain:
    """Fit a domain to sound scans.

    Parameters
    ----------
    rows
        Features of each scan; all have the same names.
    within
        Share of the scans within the limit, each judged by a domain that was fitted without it.
    room
        Factor on the limit.
    faulty
        Features of each scan as a fault would change them: distances are measured in that direction. None measures
        in all directions.
    """
    pairs = list(zip(rows, faulty if faulty is not None else [()] * len(rows), strict=True))
    distances = [_domain(kept).distance(row) for kept, held in _folds(pairs) for row, _ in held]
    return replace(_domain(pairs), limit=room * float(np.quantile(distances, within)))


def _folds(items: Sequence[Item]) -> Iterator[tuple[list[Item], list[Item]]]:
    """Items to fit to, and items to judge by the fit, for every fold."""
    for fold in range(_FOLDS):
        yield (
            [item for index, item in enumerate(items) if index % _FOLDS != fold],
            [item for index, item in enumerate(items) if index % _FOLDS == fold],
        )


def _domain(pairs: Sequence[tuple[FeatureValues, Sequence[FeatureValues]]]) -> Domain:
    names = tuple(pairs[0][0])
    values = _table([row for row, _ in pairs], names)
    centre = np.nanmedian(values, axis=0)
    robust = 1.4826 * np.nanmedian(np.abs(values - centre), axis=0)
    spread = np.maximum(np.maximum(robust, 0.5 * np.nanstd(values, axis=0)), _NARROWEST)
    deviations = np.clip((values - centre) / spread, -_CLIPPED, _CLIPPED)
    changed = [row for _, others in pairs for row in others]
    shift = np.nanmean((_table(changed, names) - centre) / spread, axis=0) if changed else np.zeros(len(names))
    return Domain(names, centre, spread, _shrunk_correlation(deviations), shift)


def _table(rows: Sequence[FeatureValues], names: Sequence[str]) -> Array:
    return np.array([[row[name] for name in names] for row in rows])


def _shrunk_correlation(deviations: Array) -> Array:
    """Second moments over the scans that show both features, shrunk towards independence, positive definite."""
    shown = np.isfinite(deviations).astype(float)
    filled = np.nan_to_num(deviations)
    moments = filled.T @ filled / np.maximum(shown.T @ shown, 1.0)
    shrunk = (1.0 - _SHRINKAGE) * moments + _SHRINKAGE * np.diag(np.diag(moments))
    values, vectors = np.linalg.eigh(shrunk)
    return np.asarray((vectors * np.maximum(values, _SMALLEST)) @ vectors.T)
