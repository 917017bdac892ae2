"""Numbers that describe how well a segmentation fits a scan, and so how wrong the curve read with it may be.

A segmentation in which the heart is a little too large, or blurred as by another scanner, leaves residuals of a known
shape: the gradient of the segmented tissue if its size is wrong, its Laplacian if the resolution is. How much of either
the image shows, in units of the tissue's own activity, is found by least squares. Another sign are the curves of blood
in the heart and of blood in the vessels, each read by itself: they differ where one of the two is segmented wrongly.
Numbers of this kind mean the same for any animal, scanner and frame schedule.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from dlif_core.networks.prediction.arterial import ArterialReading
from dlif_core.networks.prediction.features import WINDOWS, Features
from dlif_core.networks.prediction.tissues import ARTERIAL, TISSUES
from dlif_core.networks.prediction.unmixing import Unmixed, unmix

#: Added to activities before the logarithm of their ratio is taken: small values don't count by their ratio [SUV].
OFFSET = 0.15

_BLOOD, _MYOCARDIUM = ARTERIAL, TISSUES.index("myocardium")
# the heart is where the mean of this many voxels along each axis holds so much myocardium
_NEIGHBOURS, _HEART = 5, 0.05
# windows in which misfits are estimated together: the bolus, the minutes after it, the rest
_SPANS = (slice(2, 6), slice(6, 9), slice(9, 12))
_BOLUS, _LATE = _SPANS[0], slice(8, 12)
# tissue of each shape of misfit: size and resolution of the blood in the heart, of that elsewhere, of the myocardium
_OWNERS = [_BLOOD, _BLOOD, _BLOOD, _BLOOD, _MYOCARDIUM, _MYOCARDIUM]
# activity that noise leaves uncertain [SUV]; ridge of the misfits, relative and absolute
_NOISE, _RELATIVE_RIDGE, _RIDGE = 0.2, 0.02, 1e-3
# least activity whose logarithm is taken [SUV], and largest logarithm of a ratio
_FLOOR, _LARGEST_RATIO = 0.02, 1.5
# numbers of voxels whose mean part shows how clearly a tissue is segmented
_CLEAREST = (8, 64)
_TINY = 1e-3

_MISFITS = len(_OWNERS) + 2
_FORMS = 3 * (5 + len(_CLEAREST)) + 3
#: Number of values that describe how a segmentation fits a scan.
DESCRIPTION = len(_SPANS) * _MISFITS + 2 * WINDOWS + _FORMS + WINDOWS + 3 + len(TISSUES)


class FitDescription(NamedTuple):
    """Description of how a segmentation fits a scan.

    Attributes
    ----------
    values
        Values of the description, shape (description,).
    known
        1 where the scan shows the value, 0 where it lacks the window, shape (description,).
    """

    values: torch.Tensor
    known: torch.Tensor


class Reading(NamedTuple):
    """Segmentation of an aligned scan and the curves that are read with it.

    Attributes
    ----------
    activity
        Aligned image, shape (frames, z, y, x) [SUV].
    features
        Features of the image.
    confidence
        `noise_confidence` of the image, shape (z, y, x).
    tissues
        Segmentation by the network, shape (tissues, z, y, x).
    unmixed
        Weight maps and curves of the tissues.
    arterial
        Arterial blood, read from all pools.
    """

    activity: torch.Tensor
    features: Features
    confidence: torch.Tensor
    tissues: torch.Tensor
    unmixed: Unmixed
    arterial: ArterialReading


def describe(reading: Reading) -> FitDescription:
    """Describe how a segmentation fits its scan, for the correction over time."""
    measured = reading.features.constants[:WINDOWS]
    heart = _heart(reading.tissues[_MYOCARDIUM])
    image = torch.einsum("wf,fzyx->wzyx", reading.features.windows, reading.activity)
    curves = reading.unmixed.curves @ reading.features.windows.T
    misfits, spans = _misfits(reading, image, curves, heart)
    forms = torch.cat([_forms(reading.tissues, heart), _sharpness(image, heart), _weights(reading)])
    parts = [misfits, _separate_readings(reading, curves[_BLOOD], heart), forms, curves[_BLOOD].clamp(min=_FLOOR).log()]
    known = [spans.repeat_interleave(_MISFITS), measured.repeat(2), torch.ones_like(forms), measured]
    return FitDescription(torch.cat([part.flatten() for part in parts]), torch.cat(known))


def _heart(myocardium: torch.Tensor) -> torch.Tensor:
    """Mask that is 1 in and near the heart and 0 elsewhere, shape (z, y, x)."""
    # padded by hand: pooling with padding refuses images smaller than its kernel
    wide = functional.pad(myocardium[None], (_NEIGHBOURS // 2,) * 6)
    near = functional.avg_pool3d(wide, _NEIGHBOURS, stride=1)[0]
    return (near > _HEART).to(myocardium)


def _misfits(
    reading: Reading, image: torch.Tensor, curves: torch.Tensor, heart: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Misfits of size and resolution in each span of windows, and which spans the scan has.

    Least squares of the residual over the shapes of `_shapes` times the activity of the tissue they belong to; then the
    logarithms of the residual's share of the image in the heart, and of the misfits' share of the residual.
    """
    left = (image - torch.einsum("kw,kzyx->wzyx", curves, reading.tissues)).flatten(1)
    shapes, own = _shapes(reading.tissues, heart).flatten(1), curves[_OWNERS].double()
    weighted = shapes * reading.confidence.flatten()
    weight = _span_weights(curves, reading.features.constants[:WINDOWS]).double()
    normal = (weighted @ shapes.T).double() * torch.einsum("sw,aw,bw->sab", weight, own, own)
    normal = normal + torch.diag_embed(_RELATIVE_RIDGE * normal.diagonal(dim1=1, dim2=2) + _RIDGE)
    pull = torch.einsum("sw,aw,aw->sa", weight, own, (weighted @ left.T).double())
    misfit = torch.linalg.solve(normal, pull)
    counted = (heart * reading.confidence).flatten()
    residual, whole = (weight @ (part.square() @ counted).double() for part in (left, image.flatten(1)))
    share = (residual / whole.clamp(min=1e-12) + 1e-6).log()
    explained = ((misfit * pull).sum(dim=1) / residual.clamp(min=1e-12) + 1e-4).log()
    found = torch.cat([misfit, share[:, None], explained[:, None]], dim=1)
    return found.to(image), (weight.sum(dim=1) > 0).to(image)


def _shapes(tissues: torch.Tensor, heart: torch.Tensor) -> torch.Tensor:
    """Change of the image by another size and resolution of blood in the heart, of blood elsewhere, of myocardium."""
    parts = ((tissues[_BLOOD], heart), (tissues[_BLOOD], 1.0 - heart), (tissues[_MYOCARDIUM], heart))
    return torch.stack([change(tissue) * where for tissue, where in parts for change in (_steepness, _laplacian)])


def _steepness(image: torch.Tensor) -> torch.Tensor:
    return torch.stack(torch.gradient(image)).square().sum(dim=0).sqrt()


def _laplacian(image: torch.Tensor) -> torch.Tensor:
    wide = functional.pad(image[None, None], (1,) * 6, mode="replicate")[0, 0]
    return sum((wide.diff(n=2, dim=axis)[_INNER[axis]] for axis in range(3)), torch.zeros_like(image))


# second differences along one axis still have the padding of the others
_INNER = tuple(tuple(slice(None) if other == axis else slice(1, -1) for other in range(3)) for axis in range(3))


def _span_weights(curves: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    """Weight of every window in every span, about one over the variance of its noise, shape (spans, windows)."""
    weight = measured / (curves[_BLOOD].abs() + curves[_MYOCARDIUM].abs() + _NOISE)
    within = torch.zeros(len(_SPANS), WINDOWS).to(weight)
    for row, span in enumerate(_SPANS):
        within[row, span] = 1.0
    return within * weight


def _separate_readings(reading: Reading, blood: torch.Tensor, heart: torch.Tensor) -> torch.Tensor:
    """Logarithms of blood read in the heart and of that read elsewhere over blood as it is read, in every window."""
    segmented = reading.tissues[_BLOOD]
    others = reading.tissues[[k for k in range(len(reading.tissues)) if k != _BLOOD]]
    apart = torch.cat([torch.stack([segmented * heart, segmented * (1.0 - heart)]), others])
    separate = unmix(reading.activity, apart, reading.confidence).curves[:2] @ reading.features.windows.T
    ratio = (separate.clamp(min=_FLOOR) + OFFSET).log() - (blood + OFFSET).clamp(min=0.5 * OFFSET).log()
    return ratio.clamp(-_LARGEST_RATIO, _LARGEST_RATIO)


def _forms(tissues: torch.Tensor, heart: torch.Tensor) -> torch.Tensor:
    """Volume, extent along three axes and clearness of the myocardium, of blood in the heart and elsewhere."""
    parts = (tissues[_MYOCARDIUM], tissues[_BLOOD] * heart, tissues[_BLOOD] * (1.0 - heart))
    return torch.cat([_form(part) for part in parts])


def _form(part: torch.Tensor) -> torch.Tensor:
    volume = part.sum() + _TINY
    axes = [torch.arange(length).to(part) for length in part.shape]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    share = part.flatten() / volume
    away = place - (place @ share)[:, None]
    extent = torch.linalg.eigvalsh((away * share) @ away.T + _TINY * torch.eye(3).to(part)).clamp(min=_TINY).log()
    clearest = part.flatten().topk(min(_CLEAREST[-1], part.numel())).values
    clear = torch.stack([clearest[:number].mean() for number in _CLEAREST])
    filled = (part.square().sum() / volume + _TINY).log()
    return torch.cat([volume.log()[None], extent, filled[None], clear])


def _sharpness(image: torch.Tensor, heart: torch.Tensor) -> torch.Tensor:
    """Roughness of the image: late in the heart, during the bolus in the heart and elsewhere."""
    late, bolus = image[_LATE].clamp(min=0.0).amax(dim=0), image[_BOLUS].mean(dim=0)
    parts = ((late, heart), (bolus, heart), (bolus, 1.0 - heart))
    return torch.stack([_roughness(one, where) for one, where in parts])


def _roughness(image: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    rough, whole = ((part * where).square().sum() for part in (_laplacian(image), image))
    return (rough / (whole + 1e-6) + 1e-4).log()


def _weights(reading: Reading) -> torch.Tensor:
    """Size of the weights, the body weight, volumes of all tissues."""
    weights = reading.unmixed.weight_map[_BLOOD]
    single = torch.stack(
        [weights.square().sum().sqrt().log(), weights.abs().sum().log(), reading.features.constants[-1]]
    )
    return torch.cat([single, reading.tissues.flatten(1).sum(dim=1).log1p()])
