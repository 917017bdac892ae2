"""The error tree.

Every error names the file or setting at fault, says what is wrong and what to do about it, and carries the exit code
that the command line returns for it. Members also subclass the matching builtin, so callers that don't
know dlif can still catch a missing file as ``FileNotFoundError``.

Exit codes
----------
0 success · 1 unexpected fault · 2 configuration or usage · 3 input data · 4 store ·
5 partial success (some scans are excluded, failed or incomplete) · 6 no scan succeeded ·
7 the cluster is lost · 130 interrupted
"""

from __future__ import annotations

from enum import IntEnum

from dlif_core.masking import masked


class ExitCode(IntEnum):
    """Exit codes of the ``dlif`` command."""

    SUCCESS = 0
    UNEXPECTED = 1
    CONFIGURATION = 2
    INPUT = 3
    STORE = 4
    PARTIAL = 5
    NOTHING_SUCCEEDED = 6
    CLUSTER = 7


class DlifError(Exception):
    """Base of all errors that dlif raises on purpose; secrets in its texts are masked.

    Parameters
    ----------
    message
        What is wrong, in words for the person who owns the data.
    where
        File, URI or setting that is at fault.
    hint
        What to do about it.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> try:
    ...     dlif.read_curves("no-such-table.tsv")
    ... except dlif.DlifError as fault:
    ...     print(fault.where, fault.message, fault.hint, sep=" | ")
    no-such-table.tsv | the file is not there. | Correct the path, or restore the file.
    """

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, message: str, *, where: object = "", hint: str = "") -> None:
        self.message = masked(message)
        self.where = masked(str(where))
        self.hint = masked(hint)
        super().__init__(self.message, self.where, self.hint)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.where, self.hint)


def _rebuild(kind: type[DlifError], message: str, where: str, hint: str) -> DlifError:
    return kind(message, where=where, hint=hint)


class DlifWarning(UserWarning):
    """Data were repaired, or something was assumed; the result says so too, in its warnings.

    Examples
    --------
    Where such data must not pass, the warnings are made errors.

    >>> import warnings
    >>> import dlif_core as dlif
    >>> warnings.simplefilter("error", dlif.DlifWarning)
    >>> dlif.blood([0, 1, 2, 10, 60], [0, 9, 5, 3, 2], units="kBq/mL", time_unit="min", scan_end=60)
    Traceback (most recent call last):
    dlif_core.errors.DlifWarning: whole blood and plasma were not both measured; they are taken as equal.
    """


class ConfigurationError(DlifError, ValueError):
    """A setting is unknown, out of range or contradicts another.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> dlif.FitSettings("patlak", t_star=-5)
    Traceback (most recent call last):
    dlif_core.errors.ConfigurationError: fit setting t_star: -5 is not possible here. ...
    """

    exit_code = ExitCode.CONFIGURATION


class InputError(DlifError, ValueError):
    """Input data can't be used as they are; a study excludes the scan with this as its reason.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> dlif.FrameTiming(start=[0, 60], duration=[60, -1])
    Traceback (most recent call last):
    dlif_core.errors.FrameTimingError: frame 2 has a duration of -1 s. Every duration must be positive.
    """

    exit_code = ExitCode.INPUT


class MissingInputError(InputError, FileNotFoundError):
    """A file that the scan needs is not there."""


class UnitError(InputError):
    """A unit is missing, unknown or of the wrong dimension."""


class FrameTimingError(InputError):
    """A frame schedule is impossible or contradicts the image."""


class FrameOverlapError(FrameTimingError):
    """Frames overlap in time."""


class ImageError(InputError):
    """An image is unreadable, truncated or holds values that are not finite."""


class BloodError(InputError):
    """Blood data are missing or can't give an arterial input function."""


class CurveError(InputError):
    """A time curve can't be used: not finite, not increasing in time, too short."""


class NotFiniteError(DlifError, ValueError):
    """A result that is NaN or infinite where a number must be; it is not written."""


class OutOfScopeError(InputError):
    """A scan is outside the scope of a trained model; the message gives the reasons."""


class StoreError(DlifError):
    """The store can't be read or written."""

    exit_code = ExitCode.STORE


class StoreBusyError(StoreError):
    """Another run works on this part of the store."""


class StorageError(StoreError):
    """The storage refuses what is asked of it: credentials, bucket, space. It is no fault of the data."""


class StorageSilentError(StorageError):
    """The storage did not answer in the time set; another try may help."""


class ProductMissingError(StoreError, FileNotFoundError):
    """A product was never committed."""


class ProductDamagedError(StoreError):
    """A product's content is not what was committed."""


class SchemaVersionError(StoreError):
    """The store was written by another, unreadable schema version."""


class ClusterError(DlifError):
    """The cluster has no workers, or its scheduler is lost: the run ends, whatever its scans are like."""

    exit_code = ExitCode.CLUSTER


class WorkerDiedError(DlifError):
    """The worker died of a step, again and again; other steps go on."""
