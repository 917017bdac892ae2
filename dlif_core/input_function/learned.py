"""Input function predicted from the image by an ensemble of trained networks, with its uncertainty.

The networks give a signed weight map, and the curve is the weighted sum of the image
(`networks.prediction.unmixing`). A scan out of the model's scope gets no curve: the next method in the study's list is
used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import OutOfScopeError
from dlif_core.input_function.method import Method
from dlif_core.input_function.plasma import ImageOptions, ImagePlasma, image_plasma
from dlif_core.scan import DynamicScan, is_fdg
from dlif_core.storage import is_url, joined

if TYPE_CHECKING:
    from dlif_core.networks.bundle.model import LearnedModel
    from dlif_core.networks.calibration.calibration import CalibratedCurve
    from dlif_core.networks.prediction.ensemble import EnsemblePrediction
    from dlif_core.networks.scope.verdict import Verdict


# volume of a tissue from which it is in view [voxels of the networks' grid]
_SEEN = 20.0
#: How the refusal of a scan out of scope begins; the reasons follow.
OUT_OF_SCOPE = "the scan is out of scope of the learned input function: "


class LearnedOptions(ImageOptions):
    """Options of the learned input function.

    Attributes
    ----------
    model
        Name of a model or its folder, a path or URL; None for the one in use.
    digest
        sha256 that the model must have, as ``dlif model show`` prints it; of any other nothing is used. It covers
        weights, settings and card.
    signers
        File of those who may sign models, as OpenSSH has it (``NAME ssh-ed25519 KEY``); a model that none of them
        signed is not used. A relative path is relative to the study file.
    samples
        Number of samples of the curve.
    explain
        Whether a run explains the curve: from where in the image, and when, it was read. It decides no curve, and is
        the longest step of a scan.
    """

    model: str | None = None
    digest: Annotated[str, Field(pattern=r"^(sha256:)?[0-9a-f]{64}$")] | None = None
    signers: str | None = None
    samples: Annotated[int, Field(ge=2, le=1000)] = 64
    explain: bool = True

    def relative_to(self, folder: str) -> Self:
        """The same; the file of signers counts from the folder, the path of a model too if the folder is a URL."""
        update: dict[str, str] = {"signers": joined(folder, self.signers)} if self.signers else {}
        if self.model is not None and "/" in self.model and is_url(folder):
            update["model"] = joined(folder, self.model)
        return super().relative_to(folder).model_copy(update=update)

    def deciding_settings(self) -> dict[str, Any]:
        """Settings that decide the curve; who vouches for the model and what else is told of it do not."""
        told = ("digest", "signers", "explain")
        return {name: value for name, value in super().deciding_settings().items() if name not in told}


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: LearnedOptions) -> InputFunction:
    """Learned input function of a scan; blood recordings serve plasma alone.

    Raises
    ------
    OutOfScopeError
        If the scan is of a kind that the model does not know, with the reasons.
    ConfigurationError
        If there is no such model, or it is not the one that is pinned, or not signed as it must be.
    InputError
        If a file of the model was changed.
    """
    from dlif_core.networks.bundle.model import load_model
    from dlif_core.networks.scope.band import band_width
    from dlif_core.networks.scope.verdict import worst

    model = load_model(trusted_model(options))
    prediction, verdict = _predicted(scan, model)
    curve = model.calibration.curve(prediction, options.samples)
    verdict = worst(verdict, model.scope.check_band(curve))
    provenance = _provenance(model, prediction, verdict, curve, options) | _intervals(
        curve, scan.acquisition.tracer, prediction
    )
    if curve.lower is not None:
        provenance["mean width of the band over the mean of the curve"] = round(band_width(curve), 2)
    plasma = image_plasma(curve.time, scan.acquisition, recordings, options)
    return _input_function(scan, curve, plasma, provenance, verdict)


def facts(options: LearnedOptions) -> dict[str, str]:
    """Digest of the model: curves of another one are stale."""
    from dlif_core.networks.bundle.folder import read_manifest

    return {"model": read_manifest(trusted_model(options)).digest}


def trusted_model(options: LearnedOptions) -> Path:
    """Folder of the model of the options.

    Raises
    ------
    ConfigurationError
        If there is none, or it is not the one that is pinned, or not signed as it must be.
    """
    from dlif_core.networks.bundle.folder import model_folder, require_pinned
    from dlif_core.networks.bundle.signing import signer_of

    folder = model_folder(options.model)
    if options.digest:
        require_pinned(folder, options.digest)
    if options.signers:
        signer_of(folder, Path(options.signers))
    return folder


def _predicted(scan: DynamicScan, model: LearnedModel) -> tuple[EnsemblePrediction, Verdict]:
    """Prediction of the networks and whether it can be trusted; refused if the scan is out of the model's scope."""
    from dlif_core.networks.prediction.ensemble import predict_ensemble
    from dlif_core.networks.prediction.scan import network_device, network_scan
    from dlif_core.networks.scope.assessment import check_image, precheck, worst

    known = precheck(scan, model.subject)
    require_in_scope(known, model)
    image = network_scan(scan, network_device(), model.subject)
    require_in_scope(worst(known, check_image(image)), model)
    networks = [network.to(image.activity.device) for network in model.networks]
    prediction = predict_ensemble(networks, image)
    verdict = worst(known, model.scope.check(prediction, image, scan.acquisition.tracer))
    require_in_scope(verdict, model)
    return prediction, verdict


def require_in_scope(verdict: Verdict, model: LearnedModel) -> None:
    """Refuse a scan that is out of a model's scope.

    Raises
    ------
    OutOfScopeError
        If it is; the message gives the reasons.
    """
    if verdict.state == "out of scope":
        raise OutOfScopeError(
            OUT_OF_SCOPE + " ".join(verdict.reasons),
            where=f"model {model.name}",
            hint="Correct the scan if a reason names a fault of it; otherwise use another input function.",
        )


def _input_function(
    scan: DynamicScan, curve: CalibratedCurve, plasma: ImagePlasma, provenance: dict[str, Any], verdict: Verdict
) -> InputFunction:
    suv = scan.acquisition.suv_factor
    assert suv is not None, "a scan in scope has dose and weight"
    warnings = tuple(f"the scan is doubtful for the learned input function: {reason}" for reason in verdict.reasons)
    if curve.refused:
        warnings += (f"there is no band: {curve.refused}",)
    return InputFunction(
        time=curve.time,
        whole_blood=curve.whole_blood / suv,
        plasma=curve.whole_blood / suv * plasma.factor,
        method="learned",
        lower=None if curve.lower is None else curve.lower / suv,
        upper=None if curve.upper is None else curve.upper / suv,
        samples=curve.samples / suv,
        provenance=provenance | plasma.provenance,
        with_metabolites=plasma.with_metabolites,
        warnings=warnings + plasma.warnings,
    )


def _provenance(
    model: LearnedModel,
    prediction: EnsemblePrediction,
    verdict: Verdict,
    curve: CalibratedCurve,
    options: LearnedOptions,
) -> dict[str, Any]:
    return {
        "options": options.deciding_settings(),
        "model": {"name": model.name, "digest": model.digest},
        "scope": {"state": verdict.state, "reasons": list(verdict.reasons), "score": round(verdict.score, 3)},
        "level": curve.level,
        "calibrated on": model.calibration.population,
        "frame averages [SUV]": _rounded(prediction.whole_blood, 4),
        "standard deviation from noise [SUV]": _rounded(prediction.noise, 4),
        "standard deviation between networks [SUV]": _rounded(prediction.spread, 4),
        "displacement z, y, x [mm]": _rounded(
            model.subject.voxel * prediction.displacement.double().numpy(force=True), 3
        ),
    }


def _intervals(curve: CalibratedCurve, tracer: str, prediction: EnsemblePrediction) -> dict[str, Any]:
    """Intervals of the metrics; those of Ki are left out of another tracer than FDG, and of a tissue unseen."""
    left_out = {}
    for name in curve.intervals:
        tissue = name.removeprefix("Ki ")
        if tissue != name and tracer and not is_fdg(tracer):
            left_out[name] = "they are calibrated on FDG, and the kinetics of another tracer are not known."
        elif tissue != name and not _in_view(tissue, prediction):
            left_out[name] = f"no {tissue} was found in the image."
    kept = {name: list(interval) for name, interval in curve.intervals.items() if name not in left_out}
    return {"intervals": kept, "intervals left out": left_out} if left_out else {"intervals": kept}


def _in_view(tissue: str, prediction: EnsemblePrediction) -> bool:
    """Whether the networks find a tissue in the image."""
    from dlif_core.networks.prediction.tissues import TISSUES

    return float(prediction.tissues[TISSUES.index(tissue)].sum()) >= _SEEN


def _rounded(values: np.typing.NDArray[np.float64], digits: int) -> list[Any]:
    found: list[Any] = np.round(values, digits).tolist()
    return found


METHOD = Method("learned", "Learned", LearnedOptions, estimate, facts)
