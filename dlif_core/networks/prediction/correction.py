"""Correction over time: what was read of the blood, weighed against how blood behaves in any animal.

Blood falls smoothly for an hour after the bolus, while a reading is good for minutes and poor at the end, when the
myocardium beside the ventricle is tens of times more active. So the logarithm of the curve in time windows is taken for
a normal variable whose mean and covariance simulated animals show, apart for families of them: laboratories with FDG,
with other tracers, and blood of another generator. Of the first minute nothing is taken for known, since it depends on
the injection. A reading is the truth with an error, whose size in every window
follows from two signs of the scan: the noise of the reading, and how much more active the myocardium is. The posterior
mean corrects the curve, so that late windows which are read poorly follow from those before them, and its standard
deviation is the error to be expected. Families are weighed by how well they explain the reading; the tracer isn't asked
for. Everything is in closed form but the sizes of the errors, which are found by maximum likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from dlif_core.networks.prediction.arterial import ArterialReading
from dlif_core.networks.prediction.features import COURSE, Course
from dlif_core.networks.prediction.tissues import TISSUES

#: Added to activities before their logarithm is taken: small values don't count by their ratio [SUV].
OFFSET = 0.15
#: Most families of blood that a correction can hold.
FAMILIES = 4

_MYOCARDIUM = TISSUES.index("myocardium")
_SIGNS = 2
# least activity [SUV], and least ratio, of which the logarithm is taken
_FAINT, _TINY = 0.05, 1e-3
# standardised signs are clipped to this size
_FARTHEST = 3.0
# real animals may differ more than simulated ones: standard deviations of families are larger by this factor
_WIDER = 1.5
# windows of the first pass
_FIRST_PASS = 6
# variance that every family has [squared logarithm], and that of a window which a scan lacks
_LEAST, _UNKNOWN = 1e-4, 1e4
# standard deviations of blood of which nothing is known, and of the readings of a correction that corrects nothing
_ANYTHING, _EXACT = 100.0, 1e-3
# standard deviation of a reading in the beginning of a fit, and limits
_FIRST, _SMALLEST, _LARGEST = 0.14, 5e-6, 3.0
# of the fit: updates, highest rate, degrees of freedom of Student's distribution of the errors
_UPDATES, _RATE, _FREEDOM = 120, 0.03, 4.0
# penalties on slopes, on their differences between windows, and on correlations [scans]
_SLOPES, _DIFFERENCES, _CORRELATIONS = 0.05, 0.3, 0.05
# windows before the arrival of the bolus count so much in the fit
_BEFORE, _EARLY = 2, 0.3


def corrected_curve(read: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Curve with its correction, each of shape (..., frames) [SUV]; what is far below zero was not read at all."""
    return factor * _above_zero(read) - OFFSET


def _above_zero(read: torch.Tensor) -> torch.Tensor:
    return (read + OFFSET).clamp(min=0.5 * OFFSET)


class ReadCourse(NamedTuple):
    """What was read of the blood in the windows of a scan, or of several scans one above the other.

    Attributes
    ----------
    logarithm
        Logarithm of the read activity plus `OFFSET`, shape (..., course windows).
    signs
        Signs of its error: logarithm of noise and of myocardium relative to the blood, shape (..., course windows, 2).
    measured
        Whether the scan has the window, shape (..., course windows).
    """

    logarithm: torch.Tensor
    signs: torch.Tensor
    measured: torch.Tensor


class PredictedCorrection(NamedTuple):
    """Correction of a curve, and the error that is expected nevertheless.

    Attributes
    ----------
    logarithm
        Logarithm of corrected over read activity, both plus `OFFSET`, shape (course windows,).
    expected
        Standard deviation of the logarithm of true over corrected activity, shape (course windows,).
    """

    logarithm: torch.Tensor
    expected: torch.Tensor


def read_course(curves: torch.Tensor, arterial: ArterialReading, course: Course) -> ReadCourse:
    """Put what was read into windows.

    Parameters
    ----------
    curves
        Curves of the tissues, shape (tissues, frames) [SUV].
    arterial
        Arterial blood as it was read.
    course
        Windows of the scan.
    """
    seen = torch.stack([arterial.curve, arterial.noise, curves[_MYOCARDIUM]])
    read, noise, myocardium = seen @ course.windows.T
    level = read.clamp(min=_FAINT) + OFFSET
    signs = torch.stack([(noise / level + _TINY).log(), (myocardium.clamp(min=_FAINT) / level).log()], dim=1)
    return ReadCourse(_above_zero(read).log(), signs, course.measured)


class _Errors(NamedTuple):
    """Errors of readings: logarithm of their standard deviation, its slopes, their mean, root of their correlation."""

    level: torch.Tensor
    slopes: torch.Tensor
    bias: torch.Tensor
    root: torch.Tensor

    def covariance(self, signs: torch.Tensor) -> torch.Tensor:
        """Covariance for standardised signs, shape (scans, course windows, course windows)."""
        size = (self.level + (signs * self.slopes).sum(dim=-1)).exp().clamp(_SMALLEST, _LARGEST)
        root = self.root.tril()
        shared = root @ root.T
        own = shared.diagonal().sqrt()
        return size[:, :, None] * (shared / own[:, None] / own) * size[:, None, :]


class Correction(nn.Module):
    """Families of blood and sizes of errors of readings; a new one corrects nothing.

    Its numbers are buffers: they go with the network's weights and no training by steps changes them.

    Attributes
    ----------
    site
        Logarithm of the factors of a laboratory, see `release.site_correction`, shape (course windows,).
    """

    means: torch.Tensor
    covariances: torch.Tensor
    shares: torch.Tensor
    centre: torch.Tensor
    spread: torch.Tensor
    level: torch.Tensor
    slopes: torch.Tensor
    bias: torch.Tensor
    root: torch.Tensor
    site: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(FAMILIES, COURSE))
        self.register_buffer("covariances", _ANYTHING**2 * torch.eye(COURSE).repeat(FAMILIES, 1, 1))
        self.register_buffer("shares", torch.eye(FAMILIES)[0])
        self.register_buffer("centre", torch.zeros(COURSE, _SIGNS))
        self.register_buffer("spread", torch.ones(COURSE, _SIGNS))
        self.register_buffer("level", torch.full((COURSE,), math.log(_EXACT)))
        self.register_buffer("slopes", torch.zeros(COURSE, _SIGNS))
        self.register_buffer("bias", torch.zeros(COURSE))
        self.register_buffer("root", torch.eye(COURSE))
        self.register_buffer("site", torch.zeros(COURSE))

    def forward(self, read: ReadCourse) -> PredictedCorrection:
        """Predict the correction of a scan, and the error that it leaves."""
        one = ReadCourse(*(part[None] for part in read))
        errors = _Errors(*(part.double() for part in (self.level, self.slopes, self.bias, self.root)))
        mean, variance = self._posterior(one, self._standard(one), errors)
        logarithm = (mean[0].to(read.logarithm) - read.logarithm) * read.measured + self.site
        return PredictedCorrection(logarithm, variance[0].sqrt().to(read.logarithm))

    def fit(self, families: Sequence[torch.Tensor], read: Sequence[ReadCourse], truth: torch.Tensor) -> None:
        """Fit to blood of animals and to scans with known blood.

        Parameters
        ----------
        families
            Logarithm of the activity of the blood of some animals plus `OFFSET`, each of shape (animals, course
            windows); at most `FAMILIES`, which count by their numbers of animals.
        read
            What was read in each scan.
        truth
            The same of its true blood, shape (scans, course windows); NaN where a scan lacks a window.
        """
        number = torch.tensor([float(len(family)) for family in families])
        self.shares[:] = 0.0
        self.shares[: len(families)] = number / number.sum()
        for place, family in enumerate(families):
            self.means[place] = family.mean(dim=0)
            covariance = _WIDER**2 * torch.cov(family.double().T, correction=0) + _LEAST * torch.eye(COURSE)
            covariance[:_FIRST_PASS], covariance[:, :_FIRST_PASS] = 0.0, 0.0
            covariance.diagonal()[:_FIRST_PASS] = _ANYTHING**2
            self.covariances[place] = covariance
        scans = ReadCourse(*(torch.stack(parts) for parts in zip(*read, strict=True)))
        known = scans.measured[..., None].to(truth)
        scans_in_window = known.sum(dim=0).clamp(min=1.0)
        centre = (known * scans.signs).sum(dim=0) / scans_in_window
        self.centre.copy_(centre)
        self.spread.copy_(((known * (scans.signs - centre) ** 2).sum(dim=0) / scans_in_window).sqrt() + _TINY)
        found = self._most_likely(scans, truth)
        for name, value in found._asdict().items():
            getattr(self, name).copy_(value)

    @torch.enable_grad()
    def _most_likely(self, read: ReadCourse, truth: torch.Tensor) -> _Errors:
        """Errors by which the true blood is most likely, with Student's distribution about the posterior."""
        known = (read.measured & truth.isfinite()).double()
        true, signs = truth.double().nan_to_num(), self._standard(read)
        weight = known * torch.tensor([_EARLY] * _BEFORE + [1.0] * (COURSE - _BEFORE)).to(known)
        errors = _Errors(
            torch.full((COURSE,), math.log(_FIRST), dtype=torch.float64),
            torch.zeros(COURSE, _SIGNS, dtype=torch.float64),
            torch.zeros(COURSE, dtype=torch.float64),
            torch.eye(COURSE, dtype=torch.float64),
        )
        steps = torch.optim.Adam([part.requires_grad_() for part in errors], lr=_RATE)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(steps, _UPDATES)
        for _ in range(_UPDATES):
            steps.zero_grad()
            mean, variance = self._posterior(read, signs, errors)
            surprise = (1.0 + (true - mean) ** 2 / (variance * _FREEDOM)).log() * (_FREEDOM + 1.0) / 2.0
            loss = (weight * (surprise + 0.5 * variance.log())).sum() / known.sum() + _penalty(errors) / len(true)
            loss.backward()  # type: ignore[no-untyped-call]
            steps.step()
            rate.step()
        return _Errors(*(part.detach() for part in errors))

    def _standard(self, read: ReadCourse) -> torch.Tensor:
        standard = ((read.signs - self.centre) / self.spread).clamp(-_FARTHEST, _FARTHEST)
        return (standard * read.measured[..., None]).double()

    def _posterior(self, read: ReadCourse, signs: torch.Tensor, errors: _Errors) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of the logarithm of the true activity plus `OFFSET`, each (scans, course windows)."""
        known = read.measured.double()
        both = known[:, :, None] * known[:, None, :]
        error = both * errors.covariance(signs) + torch.diag_embed(_UNKNOWN * (1.0 - known))
        seen = known * (read.logarithm.double() - errors.bias)
        means, spreads, evidence = [], [], []
        for share, centre, covariance in zip(self.shares, self.means.double(), self.covariances.double(), strict=True):
            root = torch.linalg.cholesky(covariance + error)
            apart = seen - known * centre
            explained = torch.cholesky_solve(apart[..., None], root)[..., 0]
            gained = torch.cholesky_solve(covariance.expand_as(error), root)
            means.append(centre + explained @ covariance)
            spreads.append(covariance.diagonal() - (covariance * gained.transpose(1, 2)).sum(dim=-1))
            volume = root.diagonal(dim1=1, dim2=2).log().sum(dim=1)
            evidence.append(share.double().log() - 0.5 * (apart * explained).sum(dim=1) - volume)
        weight = torch.stack(evidence).softmax(dim=0)[..., None]
        every = torch.stack(means)
        mean = (weight * every).sum(dim=0)
        variance = (weight * (torch.stack(spreads) + (every - mean) ** 2)).sum(dim=0)
        return mean, variance.clamp(min=_LEAST)


def _penalty(errors: _Errors) -> torch.Tensor:
    apart = errors.slopes - errors.slopes.mean(dim=0)
    found: torch.Tensor = (
        _SLOPES * errors.slopes.square().sum()
        + _DIFFERENCES * apart.square().sum()
        + _CORRELATIONS * errors.root.tril(-1).square().sum()
    )
    return found
