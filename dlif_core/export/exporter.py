"""What an exporter is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dlif_core.export.products import ExportedStudy


class Exporter(Protocol):
    """One format. Its module imports what it writes with when it is called."""

    @property
    def name(self) -> str:
        """Name on the command line, and of its folder below that of the export."""

    @property
    def title(self) -> str:
        """What it writes, in a few words."""

    @property
    def version(self) -> int:
        """Raised by one whenever the same results are written otherwise; makes exports in a store stale."""

    @property
    def describes_others(self) -> bool:
        """Whether it describes what other exporters have written: then it runs after them, and never alone."""

    def export(self, study: ExportedStudy, folder: Path) -> None:
        """Write the results of a study.

        Parameters
        ----------
        study
            Opens the results of every scan.
        folder
            Folder of the whole export, which no one else reads yet. The files go into a folder below it that has the
            exporter's name; one that describes the whole export writes into the folder itself.

        Raises
        ------
        InputError
            If the format can't hold the results of a scan.
        ConfigurationError
            If two results would have one name.
        """
