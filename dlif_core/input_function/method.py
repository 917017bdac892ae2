"""What a method is: a name, its options and a function from a scan to its input function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.scan import DynamicScan
from dlif_core.validation import Section, validated


@dataclass(frozen=True)
class ScanPlace:
    """A scan as a study names it.

    Attributes
    ----------
    data
        URI of the study's data.
    scan
        Name of the scan.
    subject, session
        Names of subject and session, such as ``sub-01``; "" where there are none.
    links
        Folders outside of the data into which links may lead.
    """

    data: str
    scan: str
    subject: str = ""
    session: str = ""
    links: tuple[str, ...] = ()


class Options(Section):
    """Options of a method; base of the options of every method."""

    def relative_to(self, folder: str) -> Self:
        """The same with paths that count from the folder of a study file, a path or URL; of most methods, the same."""
        return self

    def of_scan(self, place: ScanPlace) -> Self:
        """The same for one scan of a study, where they name files of a scan; of most methods, the same."""
        return self

    def deciding_settings(self) -> dict[str, Any]:
        """Settings that decide the curve, as plain values by name."""
        return self.model_dump(mode="json")


Chosen = TypeVar("Chosen", bound=Options)


def _no_facts(_options: Options) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Method(Generic[Chosen]):
    """A way to an input function.

    Attributes
    ----------
    name
        Name in study files and products.
    title
        What reports call it.
    options
        Class of its options.
    function
        Makes the input function of a scan from the scan, its blood recordings and the options.
    facts
        Gives what beside options and scan decides the curve, by name: the digest of a model or of files that the
        options of a scan name. A file that is not there is a fact, too: it is told when the curve is made.
    """

    name: str
    title: str
    options: type[Chosen]
    function: Callable[[DynamicScan, Sequence[BloodRecording], Chosen], InputFunction]
    facts: Callable[[Chosen], Mapping[str, str]] = _no_facts

    @property
    def has_defaults(self) -> bool:
        """Whether every option has a default, so that the method can be used by its name alone."""
        return not any(field.is_required() for field in self.options.model_fields.values())

    def parse(self, values: Mapping[str, Any]) -> Chosen:
        """Options from plain values, as a study file gives them; what is missing takes its default.

        Raises
        ------
        ConfigurationError
            If an option is unknown or needed, or a value is not allowed; all faults are named at once.
        """
        hint = f"Options of this method: {', '.join(self.options.valid_keys()) or 'none'}."
        return validated(self.options, dict(values), where=f"input_functions, {self.name}", hint=hint)
