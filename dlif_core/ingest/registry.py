"""Registry of the readers, and the calls that pick the right one.

A reader is one line in `READERS`. Other packages add theirs by an entry point of the group ``dlif.readers``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os.path import dirname, normpath
from types import MappingProxyType

from dlif_core.errors import ConfigurationError, InputError, MissingInputError
from dlif_core.ingest.arrays.reader import ArrayGroups
from dlif_core.ingest.bids.reader import PetBids
from dlif_core.ingest.conversion import ConvertingReader
from dlif_core.ingest.corrections import NO_CORRECTIONS, Corrections, corrected
from dlif_core.ingest.dicom.series_format import DicomFormat
from dlif_core.ingest.ecat.reader import Ecat
from dlif_core.ingest.faults import Faults
from dlif_core.ingest.interfile.reader import Interfile
from dlif_core.ingest.inveon.reader import Inveon
from dlif_core.ingest.label_options import LABEL_NAMES, LABELS
from dlif_core.ingest.pmod.reader import PmodTables
from dlif_core.ingest.reader import (
    DEFAULT_CURVES,
    ImageGeometry,
    IngestedScan,
    ListingFault,
    Reader,
    ReaderOptions,
    ScanFiles,
    ScanSource,
)
from dlif_core.ingest.series_files import NAMED_ROLES
from dlif_core.ingest.uris import local_path
from dlif_core.ingest.volumes.reader import PlainImages
from dlif_core.links import LEADS_OUT, MEND_LINK, Enclosure
from dlif_core.registry import Registry
from dlif_core.validation import validated

#: Readers by name.
READERS: Registry[Reader] = Registry(
    "data format",
    "dlif.readers",
    [
        PetBids(),
        ConvertingReader(DicomFormat()),
        ConvertingReader(Ecat()),
        ConvertingReader(Inveon()),
        ConvertingReader(Interfile()),
        ConvertingReader(PmodTables()),
        ConvertingReader(PlainImages()),
        ConvertingReader(ArrayGroups()),
    ],
)

#: Reader and version that ingested every scan before readers had names; those products name neither.
_FIRST_READER = ("pet-bids", 1)

#: Roles of files that options name, wherever they lie.
_NAMED_ROLES = (*NAMED_ROLES, LABELS, LABEL_NAMES)

_NO_GROUPS: Mapping[str, Sequence[str]] = MappingProxyType({})


def find_scans(
    uri: str,
    curves: str = DEFAULT_CURVES,
    *,
    format: str | None = None,
    options: ReaderOptions | None = None,
    links: Collection[str] = (),
) -> list[ScanFiles]:
    """List the scans at a URI.

    Parameters
    ----------
    uri
        A local path or any fsspec URL.
    curves
        Pattern for the names of region-curve tables, for formats that keep them in files of their own. For PET-BIDS
        see `dlif_core.ingest.bids.find.find_scans`.
    format
        Name of a reader; left out, the one that recognises what lies there.
    options
        Options of that reader, an object of its `Reader.options`; left out, its defaults.
    links
        Folders outside of the data into which links may lead.

    Returns
    -------
    Scans in the order of their ids; none if no reader recognises what lies there. A file that is reached by a link out
    of the data is left out and is a fault of its scan.

    Raises
    ------
    MissingInputError
        If there is nothing at the URI.
    ConfigurationError
        If there is no such reader, several recognise what lies there, or the reader has no default for an option.
    """
    reader = READERS.named(format, where="data, format") if format else reader_at(uri)
    if reader is None:
        return []
    if options is None:
        hint = f"Give them in a study file beside format: {reader.name}."
        options = validated(reader.options, {}, where=f"data, options of {reader.name}", hint=hint)
    found = reader.find(ScanSource(uri, options, curves))
    root = local_path(found[0].root) if found else None
    if root is None:
        return found
    enclosure = Enclosure(str(root), links)
    return [_enclosed(files, enclosure, normpath(root), links) for files in found]


def _enclosed(files: ScanFiles, enclosure: Enclosure, root: str, links: Collection[str]) -> ScanFiles:
    """The files of a scan that really lie in the data, and a fault for each link that leads out.

    Files that options name, such as a table of scans, may lie elsewhere, but in the folder that is named.
    """
    named = {uri for role in _NAMED_ROLES for uri in files.role(role) if not uri.startswith(f"{root}/")}
    outside = {
        uri: link
        for uri in files.inputs().values()
        if (link := (Enclosure(dirname(uri), links) if uri in named else enclosure).link_out(uri))
    }
    if not outside:
        return files
    faults = tuple(ListingFault(f"{LEADS_OUT}.", link, MEND_LINK) for link in dict.fromkeys(outside.values()))
    roles = {role: tuple(uri for uri in uris if uri not in outside) for role, uris in files.files.items()}
    kept = {role: uris for role, uris in roles.items() if uris}
    return replace(files, files=kept, faults=(*files.faults, *faults))


def reader_at(uri: str) -> Reader | None:
    """The reader that recognises what lies at a URI, or None.

    Raises
    ------
    MissingInputError
        If there is nothing at the URI.
    ConfigurationError
        If several readers recognise what lies there.
    """
    from dlif_core.ingest.uris import exists

    if not exists(uri):
        raise MissingInputError("there is no such folder or file.", where=uri, hint="Correct the path or restore it.")
    found = [reader for reader in READERS.values() if reader.recognises(uri)]
    if len(found) > 1:
        raise ConfigurationError(
            f"several formats lie there: {' and '.join(reader.title for reader in found)}.",
            where=uri,
            hint=f"Choose one with `format`: {', '.join(reader.name for reader in found)}.",
        )
    return found[0] if found else None


def looked_for(format: str | None = None) -> str:
    """Say which scans were looked for where none was found.

    Parameters
    ----------
    format
        Name of the only reader that was asked; left out, all were.

    Returns
    -------
    For example ``PET-BIDS scan (sub-*/[ses-*/]pet/*_pet.json)``.
    """
    asked = [READERS.named(format)] if format else READERS.values()
    return " or ".join(f"{reader.title} scan ({reader.looks_for})" for reader in asked)


@contextmanager
def open_scan(
    files: ScanFiles,
    region_groups: Mapping[str, Sequence[str]] = _NO_GROUPS,
    accept: Collection[str] = (),
    corrections: Corrections = NO_CORRECTIONS,
) -> Iterator[IngestedScan]:
    """Read one scan and check it.

    Parameters
    ----------
    files
        One of the scans that `find_scans` lists.
    region_groups
        Patterns over region names by the name of a group. Each group becomes a region before the others, whose curve
        is the volume-weighted mean of its members.
    accept
        Names of checks whose doubts are accepted.
    corrections
        What is corrected after the scan is read, before its regions are grouped and checked.

    Yields
    ------
    The scan, without what its findings rule out; its image can be sliced until the context ends.

    Raises
    ------
    InputError
        Of the kind that names the fault, with the file and what to do about it; a `RefusedScanError` if a check rules
        out the scan.
    """
    from dlif_core.ingest.examination import examined
    from dlif_core.ingest.groups import with_groups

    _require_listed(files)
    with READERS.named(files.reader).open(files) as read, corrected(read, corrections) as scan:
        yield examined(with_groups(scan, region_groups), accept)


def image_geometry(files: ScanFiles) -> ImageGeometry | None:
    """Read the grid of a scan's image from its header; None for a scan without image.

    Raises
    ------
    InputError
        If the header can't be read, or the scan has a fault of its files.
    """
    _require_listed(files)
    return READERS.named(files.reader).geometry(files)


def _require_listed(files: ScanFiles) -> None:
    faults = Faults(f"{files.root}/")
    for message, where, hint in files.faults:
        faults.add(InputError(message, where=where, hint=hint))
    faults.raise_any()


def deciding_facts(files: ScanFiles) -> dict[str, str]:
    """Return what decides an ingested scan beside its files: the reader with its version, and its options.

    Options at their defaults are left out, so that an option that a later reader adds doesn't make products stale.
    """
    reader = READERS.named(files.reader)
    given = files.options.model_dump(mode="json", exclude_defaults=True)
    facts = {f"data.{name}": str(value) for name, value in given.items()}
    if (reader.name, reader.version) != _FIRST_READER:
        facts["reader"] = f"{reader.name} {reader.version}"
    return facts
