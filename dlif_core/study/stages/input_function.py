"""Input functions: one product for each method that the study names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dlif_core.compute.kind import GPU
from dlif_core.store import Staging
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import ScanJob
from dlif_core.study.products import input_function_name
from dlif_core.study.stages.base import ScanPlan, ScanStage
from dlif_core.study.stages.ingest import INGEST
from dlif_core.study.step import Step

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles
    from dlif_core.input_function import Options

#: The method that runs neural networks; its curves can be explained.
LEARNED = "learned"


class InputFunctionStage(ScanStage):
    """Source product → input function of a method. A method that can't serve a scan is unavailable for it."""

    name = "input-function"
    title = "input function"
    version = 4

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step a method, decided by its options and by the model or the files of the scan that it uses."""
        for method in plan.config.input_functions:
            yield Step(
                scan=plan.scan,
                stage=self.name,
                variant=method,
                product=input_function_name(plan.scan, method),
                fingerprint=self.fingerprint(_parts_of_scan(plan, method), plan.of(INGEST)),
                needs=tuple(step.product for step in plan.of(INGEST)),
            )

    def write(self, job: ScanJob, staging: Staging) -> Sequence[str]:
        """Estimate the curve."""
        from dlif_core.input_function import estimate
        from dlif_core.study.source import read_scan

        method = job.step.variant
        scan, blood = read_scan(job.store, job.step.scan)
        options = options_of_scan(job.config, job.files, method)
        curve = estimate(method, scan, blood, options, job.config.accept)
        staging.write_dataset(curve.to_dataset())
        return curve.warnings

    def resources(self, step: Step) -> dict[str, float]:
        """A GPU for neural networks."""
        return {GPU: 1.0} if step.variant == LEARNED else {}


INPUT_FUNCTIONS = InputFunctionStage()


def options_of_scan(config: StudyConfig, files: ScanFiles, method: str) -> Options:
    """Options of a method for one scan: where they name files, those of the scan."""
    from dlif_core.input_function import ScanPlace

    place = ScanPlace(config.data.uri, files.scan_id, files.subject, files.session, config.data.links)
    return config.input_functions[method].of_scan(place)


def _parts_of_scan(plan: ScanPlan, method: str) -> Mapping[str, object]:
    options = options_of_scan(plan.config, plan.files, method)
    if options is plan.config.input_functions[method]:
        return plan.once((INPUT_FUNCTIONS.name, method), lambda: _parts(method, options))
    return _parts(method, options)


def _parts(method: str, options: Options) -> dict[str, object]:
    from dlif_core.input_function import deciding_facts

    settings = {f"input_functions.{method}.{name}": value for name, value in options.deciding_settings().items()}
    facts = {f"{method}, {name}": value for name, value in deciding_facts(method, options).items()}
    return settings | facts
