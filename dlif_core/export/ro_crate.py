"""RO-Crate: a description of the whole exported folder that archives and other programs read.

Authors and licence are the user's to give; the description says that none was stated.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlif_core.export.files import new_file
from dlif_core.export.products import ExportedStudy

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

#: File that describes the folder.
METADATA = "ro-crate-metadata.json"
_NO_LICENCE = "No licence is stated. Without one, nobody but the owner may use or pass on these data."
_PROGRAM = "#dlif"
_TYPES = {
    ".dcm": "application/dicom",
    ".tsv": "text/tab-separated-values",
    ".parquet": "application/vnd.apache.parquet",
}


class RoCrateExporter:
    """One file that names all files of the export, the program, and the files that it was made of."""

    name = "ro-crate"
    title = "RO-Crate: description of the exported folder, with program and digests of all inputs"
    version = 1
    describes_others = True

    def export(self, study: ExportedStudy, folder: Path) -> None:
        """Write the description of all that other exporters have written into the folder."""
        from rocrate.rocrate import ROCrate

        crate = ROCrate()
        crate.name = f"Results of dlif for the study {study.name}"
        crate.description = "Input functions, kinetic parameters and parametric maps of dynamic PET scans."
        crate.license = _NO_LICENCE
        inputs = list(_add_inputs(crate, study))
        files = [_add_file(crate, path, folder) for path in _files(folder)]
        _add_program(crate, study, inputs, files)
        _save(crate, folder / METADATA)


RO_CRATE = RoCrateExporter()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _add_file(crate: ROCrate, path: Path, folder: Path) -> Any:
    """Name a file with its size, kind and digest."""
    import hashlib

    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    facts = {
        "name": path.name,
        "contentSize": str(path.stat().st_size),
        "encodingFormat": kind,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return crate.add_file(path, path.relative_to(folder).as_posix(), properties=facts)


def _add_inputs(crate: ROCrate, study: ExportedStudy) -> Iterator[Any]:
    """Name the input files, which are no part of the folder, with their digests."""
    from rocrate.model.contextentity import ContextEntity

    digests = {name: digest for scan in study.scans() for name, digest in scan.input_digests.items()}
    for name, digest in sorted(digests.items()):
        facts = {"@type": "CreativeWork", "name": name, "sha256": digest}
        yield crate.add(ContextEntity(crate, f"#input/{name}", properties=facts))


def _add_program(crate: ROCrate, study: ExportedStudy, inputs: list[Any], files: list[Any]) -> None:
    """Name the program, and say that it made the files of the inputs."""
    from rocrate.model.contextentity import ContextEntity

    facts = {"@type": "SoftwareApplication", "name": "dlif", "version": study.version, "softwareVersion": study.version}
    program = crate.add(ContextEntity(crate, _PROGRAM, properties=facts))
    about = {"@type": "CreateAction", "name": f"Analysis of the study {study.name} by dlif"}
    action = crate.add(ContextEntity(crate, "#analysis", properties=about))
    action["instrument"] = program
    action["object"] = inputs
    action["result"] = files
    crate.root_dataset["mentions"] = action


def _save(crate: ROCrate, path: Path) -> None:
    """Write the description alone: the files are in place."""
    import json

    text = json.dumps(crate.metadata.generate(), indent=2, sort_keys=True, ensure_ascii=False)
    new_file(path).write_text(f"{text}\n", encoding="utf-8")
