"""Files of formats other than PET-BIDS: listed below a folder, and named as subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from dlif_core.errors import MissingInputError
from dlif_core.ingest.blood_mapping import BloodMapping, read_blood_mapping
from dlif_core.ingest.described import SeriesOptions
from dlif_core.ingest.reader import ListingFault, ScanFiles, ScanSource
from dlif_core.ingest.scan_names import label_of, names_of_scans
from dlif_core.ingest.scan_table import ScanTable, read_scan_table
from dlif_core.ingest.uris import file_system_of, uri_of

_LONGEST_LABEL = 40
_MOST_NAMED = 8

#: Roles of files that options name, the table of scans and blood of a mapping: they may lie outside of the data.
NAMED_ROLES = ("table", "mapped")
#: Metadata of Zarr version 2, the only hidden files that count.
_METADATA = frozenset({".zgroup", ".zattrs", ".zarray", ".zmetadata"})
#: Folders of a PET-BIDS dataset that hold what it was made of, or what was made of it.
_PASSED_OVER = frozenset({"sourcedata", "derivatives", "code"})


def files_below(uri: str, chosen: Callable[[str], bool]) -> dict[str, str]:
    """URIs of the files below a folder by their paths below it, in order; of a file, of those that lie beside it.

    Parameters
    ----------
    uri
        A folder or a file.
    chosen
        Tells by the name of a file, in small letters, whether it counts. Hidden files never do, nor those in folders
        ``sourcedata``, ``derivatives`` and ``code``.

    Raises
    ------
    MissingInputError
        If there is nothing at the URI.
    """
    file_system, path = file_system_of(uri)
    if not file_system.exists(path):
        raise MissingInputError("there is no such folder or file.", where=uri, hint="Correct the path or restore it.")
    if file_system.isfile(path):
        root, entries = path.rpartition("/")[0], file_system.find(path.rpartition("/")[0], maxdepth=1)
    else:
        root, entries = path.rstrip("/"), file_system.find(path.rstrip("/"))
    found = {}
    for entry in sorted(entries):
        below = entry.removeprefix(root).lstrip("/")
        parts = below.split("/")
        if not _is_passed_over(parts) and chosen(parts[-1].lower()):
            found[below] = uri_of(file_system, entry)
    return found


def _is_passed_over(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") and part not in _METADATA for part in parts) or not _PASSED_OVER.isdisjoint(
        parts[:-1]
    )


def walked(uri: str, chosen: Callable[[str], bool], depth: int = 6) -> dict[str, str]:
    """URIs of the files below a folder, not too deep, or of the file at a URI, that count, by path; raises nothing."""
    return dict(_walk(uri, chosen, depth))


def any_below(uri: str, chosen: Callable[[str], bool], depth: int = 6) -> bool:
    """Whether there is a file below a folder, not too deep, or at a URI, that counts; raises nothing."""
    return next(_walk(uri, chosen, depth), None) is not None


def _walk(uri: str, chosen: Callable[[str], bool], depth: int) -> Iterator[tuple[str, str]]:
    """Path and URI of the files that count, folder by folder, so that who needs one lists no more."""
    file_system, path = file_system_of(uri)
    if file_system.isfile(path):
        name = path.rsplit("/", 1)[-1]
        if chosen(name.lower()):
            yield name, uri
    if not file_system.isdir(path):
        return
    root = path.rstrip("/")
    for folder, _, names in file_system.walk(root, maxdepth=depth, on_error="omit"):
        above = [part for part in folder.removeprefix(root).split("/") if part]
        for name in names:
            if chosen(name.lower()) and not _is_passed_over([*above, name]):
                yield "/".join([*above, name]), uri_of(file_system, f"{folder.rstrip('/')}/{name}")


def root_of(uri: str) -> str:
    """The folder of a source as its files are addressed: the URI itself, or the folder of the one file it names."""
    file_system, path = file_system_of(uri)
    folder = path.rpartition("/")[0] if file_system.isfile(path) else path.rstrip("/")
    return uri_of(file_system, folder or "/")


def named_scans(source: ScanSource, reader: str, found: Mapping[str, Mapping[str, tuple[str, ...]]]) -> list[ScanFiles]:
    """Scans with their names, in the order of their ids.

    Parameters
    ----------
    source
        Where they were found, with the options of the reader.
    reader
        Name of the reader.
    found
        URIs of each scan's files by role, by the path of the scan below the root; a scan has an image if it has a role
        ``image``. The path of a scan names it, unless the table of the scans has a name for it. Of a source that is a
        file, only the scan counts that it belongs to.
    """
    found = _of_source(source.uri, found)
    table = read_scan_table(source)
    options = source.options
    mapping = read_blood_mapping(options.blood if isinstance(options, SeriesOptions) else "")
    paths = sorted(found)
    names = names_of_scans(paths, _labels(paths), table)
    scans = [(*name, path) for name, path in zip(names, paths, strict=True)]
    left_out = _left_out(paths, table, mapping)
    listed = _listed(scans, source, reader, _with_mapped(found, mapping), table)
    return sorted((replace(files, left_out=left_out) for files in listed), key=lambda files: files.scan_id)


def _of_source(
    uri: str, found: Mapping[str, Mapping[str, tuple[str, ...]]]
) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    file_system, path = file_system_of(uri)
    if not file_system.isfile(path):
        return found
    own = uri_of(file_system, path)
    return {scan: roles for scan, roles in found.items() if any(own in uris for uris in roles.values())}


def _left_out(paths: Sequence[str], table: ScanTable, mapping: BloodMapping) -> tuple[ListingFault, ...]:
    """Rows of the table, and recordings of the mapping, that are of no scan."""
    rows, recordings = table.of_no_scan(paths), mapping.of_no_scan(paths)
    hint = "Write `source` as the path of the scan below the data, with / and the ending, or take it out."
    found = ((table.uri, "data row", rows), (mapping.uri, "recording", recordings))
    return tuple(
        ListingFault(f"no scan here is that of {what} {_first(which)}.", uri, hint)
        for uri, what, which in found
        if which
    )


def _first(which: Sequence[object]) -> str:
    more = f" and {len(which) - _MOST_NAMED} more" if len(which) > _MOST_NAMED else ""
    return ", ".join(map(str, which[:_MOST_NAMED])) + more


def _with_mapped(
    found: Mapping[str, Mapping[str, tuple[str, ...]]], mapping: BloodMapping
) -> dict[str, dict[str, tuple[str, ...]]]:
    """The files of each scan with those that a mapping names for its blood."""
    mapped = {path: mapping.uris(path) for path in found}
    return {
        path: {**roles, **({NAMED_ROLES[1]: mapped[path]} if mapped[path] else {})} for path, roles in found.items()
    }


def _listed(
    scans: Sequence[tuple[str, str, str]],
    source: ScanSource,
    reader: str,
    found: Mapping[str, Mapping[str, tuple[str, ...]]],
    table: ScanTable,
) -> list[ScanFiles]:
    times = Counter(scan[:2] for scan in scans)
    runs = {visit: count(1) for visit in times}
    listed = []
    for subject, session, path in scans:
        visit = subject, session
        run = f"run-{next(runs[visit])}" if times[visit] > 1 else ""
        roles = dict(found[path])
        if table.uri:
            roles[NAMED_ROLES[0]] = (table.uri,)
        listed.append(
            ScanFiles(
                scan_id="_".join(filter(None, (subject, session, run))),
                root=root_of(source.uri),
                reader=reader,
                files=roles,
                subject=subject,
                session=session,
                has_image="image" in roles,
                options=source.options,
                path=path,
            )
        )
    return listed


def _labels(paths: Sequence[str]) -> list[str]:
    """A label for each path: its last part, with the folders before it as far as they are needed to tell them apart.

    Endings are left out, unless they tell paths apart: folders may be named by figures and dots.
    """
    stems = [path.removesuffix(".gz").rsplit(".", 1)[0] for path in paths]
    named = stems if len({label_of(stem) for stem in stems}) == len(paths) else paths
    parts = [[label_of(part) for part in path.split("/")] for path in named]
    depth = max(map(len, parts), default=0)
    for taken in range(1, depth + 1):
        labels = ["".join(one[-taken:])[-_LONGEST_LABEL:] or "x" for one in parts]
        if len(set(labels)) == len(labels):
            return labels
    return labels if paths else []
