"""What a method is: a name, its options and a function from a scan to its input function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.scan import DynamicScan
from dlif_core.validation import Section, validated


class Options(Section):
    """Options of a method, all with a default; base of the options of every method."""


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
        Gives what beside options and scan decides the curve, by name: the digest of a model that the method uses.
    """

    name: str
    title: str
    options: type[Chosen]
    function: Callable[[DynamicScan, Sequence[BloodRecording], Chosen], InputFunction]
    facts: Callable[[Chosen], Mapping[str, str]] = _no_facts

    def parse(self, values: Mapping[str, Any]) -> Chosen:
        """Options from plain values, as a study file gives them; what is missing takes its default.

        Raises
        ------
        ConfigurationError
            If an option is unknown, or a value is not allowed; all faults are named at once.
        """
        hint = f"Options of this method: {', '.join(self.options.valid_keys()) or 'none'}."
        return validated(self.options, dict(values), where=f"input_functions, {self.name}", hint=hint)
