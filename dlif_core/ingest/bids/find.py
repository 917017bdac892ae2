"""Finding the scans of a PET-BIDS dataset and the files that belong to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from dlif_core.ingest.bids.dataset import BidsDataset, BidsFile, read_dataset, uris
from dlif_core.ingest.bids.listing import concerning
from dlif_core.ingest.bids.names import label_faults, misplacement, scan_name
from dlif_core.ingest.reader import ListingFault, ScanFiles, ScanSource


def find_scans(source: ScanSource, reader: str) -> list[ScanFiles]:
    """List the PET scans of a PET-BIDS dataset.

    A scan is an image ``*_pet.nii[.gz]`` or a sidecar ``*_pet.json`` in ``sub-*/[ses-*/]pet``; what else it
    needs is checked when it is opened, so that one bad scan doesn't hide the others.

    The files of a scan have the roles ``image``; ``sidecar``; ``blood/<recording>``: the TSV followed by its sidecars;
    ``curves`` and ``curves_sidecar``; ``morph``; ``dseg`` (names of the curves' regions); ``labels`` and
    ``labels_dseg`` (label image and its names); ``participants`` and ``participants_sidecar``; ``sessions`` and
    ``sessions_sidecar``; ``mask/<region>``; ``beside/<scan>``: the sidecars of a scan that shares blood with this one.
    Sidecars are listed from the most general to the most specific. A role without files is absent.

    Parameters
    ----------
    source
        Root of the dataset, with the pattern for the names of region-curve files in ``derivatives``. A pattern with a
        ``/`` is matched against the path below the root. Files with partial volume correction (``_pvc-``) count only
        if the pattern says ``pvc``.
    reader
        Name of the reader that is to open the scans.

    Returns
    -------
    Scans in the order of their ids. A subject or session that can't be listed is a scan without files, with its fault.

    Raises
    ------
    MissingInputError
        If there is no such folder.
    InputError
        If it can't be listed.
    """
    dataset = read_dataset(source.uri)
    visits: dict[str, list[BidsFile]] = {}
    for head in dataset.scans():
        visits.setdefault(head.folder, []).append(head)
    found = [_scan(head, visit, dataset, source, reader) for visit in visits.values() for head in visit]
    return sorted([*found, *_unlisted(found, dataset, source, reader)], key=lambda files: files.scan_id)


def _scan(
    head: BidsFile, visit: Iterable[BidsFile], dataset: BidsDataset, source: ScanSource, reader: str
) -> ScanFiles:
    files = _files(head, dataset, source.curves) | _beside(head, visit, dataset)
    return ScanFiles(
        scan_id=scan_name(head),
        root=dataset.root,
        reader=reader,
        files=files,
        subject=head.subject,
        session=head.session,
        has_image="image" in files,
        options=source.options,
        faults=tuple(_faults(head, dataset, source.curves)),
    )


def _faults(head: BidsFile, dataset: BidsDataset, curves: str) -> Iterator[ListingFault]:
    yield from (dataset.faults[path] for path in concerning(dataset.faults, head.subject, head.session))
    yield from label_faults(head, dataset.root)
    if scan_name(head) != head.stem:
        yield misplacement(head)
    for file in dataset.misplaced:
        is_blood = file.suffix == "blood" and file.folder == head.folder
        if is_blood or (_is_of_regions(file, curves) and _may_be_of(file, head)):
            yield misplacement(file)


def _is_of_regions(file: BidsFile, curves: str) -> bool:
    return _is_chosen(file, curves) or (file.suffix == "dseg" and file.is_image)


def _may_be_of(misplaced: BidsFile, head: BidsFile) -> bool:
    """Whether the folders of a file or its name are those of the scan's subject and session."""
    known = {*misplaced.folder.split("/"), *(f"{key}-{value}" for key, value in misplaced.entities.items())}
    has_session = any(name.startswith("ses-") for name in known)
    return head.subject in known and (head.session in known or not head.session or not has_session)


def _unlisted(found: Iterable[ScanFiles], dataset: BidsDataset, source: ScanSource, reader: str) -> list[ScanFiles]:
    """A scan without files for each subject or session of which something can't be listed and nothing was found."""
    told = {fault for files in found for fault in files.faults}
    lost: dict[tuple[str, str], tuple[ListingFault, ...]] = {}
    for path, fault in dataset.faults.items():
        if path.startswith("sub-") and fault not in told:
            subject, *below = path.split("/")
            visit = subject, below[0] if below and below[0].startswith("ses-") else ""
            lost[visit] = (*lost.get(visit, ()), fault)
    return [
        ScanFiles(
            scan_id="_".join(filter(None, visit)),
            root=dataset.root,
            reader=reader,
            files={},
            subject=visit[0],
            session=visit[1],
            options=source.options,
            faults=faults,
        )
        for visit, faults in lost.items()
    ]


def _files(head: BidsFile, dataset: BidsDataset, curves: str) -> dict[str, tuple[str, ...]]:
    """Return the URIs of a scan's files by role."""
    own = dataset.of(head)
    files = {
        "image": uris(file for file in own if file.is_image and file.scan_key == head.scan_key),
        "sidecar": dataset.sidecars(head),
        **_blood(head, own, dataset),
        **_curves(head, own, dataset, curves),
        **_labels(head, own),
        **_masks(head, own),
        "participants": uris(file for file in own if file.path == "participants.tsv"),
        "participants_sidecar": uris(file for file in own if file.path == "participants.json"),
        **_sessions(head, own, dataset),
    }
    return {role: found for role, found in files.items() if found}


def _blood(head: BidsFile, own: Iterable[BidsFile], dataset: BidsDataset) -> dict[str, tuple[str, ...]]:
    found = {}
    for file in own:
        if _is_blood_of(file, head):
            found[f"blood/{file.entities.get('recording', 'blood')}"] = (file.uri, *dataset.sidecars(file))
    return found


def _sessions(head: BidsFile, own: Iterable[BidsFile], dataset: BidsDataset) -> dict[str, tuple[str, ...]]:
    """The subject's table of sessions with its sidecars."""
    name = f"{head.subject}/{head.subject}_sessions.tsv"
    tables = [file for file in own if file.path == name]
    sidecars = dataset.sidecars(tables[0]) if tables else ()
    return {"sessions": uris(tables), "sessions_sidecar": sidecars}


def _beside(head: BidsFile, visit: Iterable[BidsFile], dataset: BidsDataset) -> dict[str, tuple[str, ...]]:
    """Sidecars of the other scans of a visit that a blood file of this scan is named for too."""
    blood = [_without_recording(file) for file in dataset.of(head) if _is_blood_of(file, head)]
    return {
        f"beside/{other.stem}": dataset.sidecars(other)
        for other in visit
        if other is not head and any(entities.items() <= other.entities.items() for entities in blood)
    }


def _is_blood_of(file: BidsFile, head: BidsFile) -> bool:
    is_table = file.suffix == "blood" and file.extension == ".tsv" and file.folder == head.folder
    return is_table and _without_recording(file).items() <= head.entities.items()


def _without_recording(file: BidsFile) -> dict[str, str]:
    return {key: value for key, value in file.entities.items() if key != "recording"}


def _curves(head: BidsFile, own: Iterable[BidsFile], dataset: BidsDataset, pattern: str) -> dict[str, tuple[str, ...]]:
    matches = [file for file in own if _is_chosen(file, pattern) and file.belongs_to(head)]
    roles = {"curves": uris(matches)}
    if len(matches) == 1:
        roles["curves_sidecar"] = dataset.sidecars(matches[0])
        for suffix in ("morph", "dseg"):
            roles[suffix] = _companion(matches[0], suffix, own)
    return roles


def _is_chosen(file: BidsFile, pattern: str) -> bool:
    if not file.is_derivative or ("_pvc-" in file.name and "pvc" not in pattern):
        return False
    return fnmatchcase(file.path if "/" in pattern else file.name, pattern)


def _companion(data: BidsFile, suffix: str, own: Iterable[BidsFile]) -> tuple[str, ...]:
    """Return the most specific table of that suffix for a derivative."""
    found = [file for file in own if file.suffix == suffix and file.extension == ".tsv" and file.applies_to(data)]
    return uris(sorted(found, key=lambda file: (file.path.count("/"), len(file.entities)))[-1:])


def _images(head: BidsFile, own: Iterable[BidsFile], suffix: str) -> list[BidsFile]:
    """Images of regions that were made for a scan."""
    return [
        file
        for file in own
        if file.suffix == suffix
        and file.is_image
        and (file.is_derivative or file.folder == head.folder)
        and file.belongs_to(head)
    ]


def _masks(head: BidsFile, own: Iterable[BidsFile]) -> dict[str, tuple[str, ...]]:
    """Masks by the name of their region: its label, else what they are of, else all that tells them from the scan."""
    masks = _images(head, own, "mask")
    short = [mask.entities.get("label") or mask.entities.get("desc") or "mask" for mask in masks]
    names = [
        name
        if short.count(name) == 1
        else "_".join(f"{key}-{value}" for key, value in mask.entities.items() if head.entities.get(key) != value)
        for name, mask in zip(short, masks, strict=True)
    ]
    found: dict[str, tuple[str, ...]] = {}
    for name, mask in zip(names, masks, strict=True):
        role = f"mask/{name}"
        found[role] = (*found.get(role, ()), mask.uri)
    return found


def _labels(head: BidsFile, own: Iterable[BidsFile]) -> dict[str, tuple[str, ...]]:
    images = _images(head, own, "dseg")
    roles = {"labels": uris(images)}
    if len(images) == 1:
        roles["labels_dseg"] = _companion(images[0], "dseg", own)
    return roles
