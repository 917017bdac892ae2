"""One small phantom that every format is written from: no two voxels, axes, directions or frames are alike."""

from collections.abc import Callable, Iterator

import nibabel as nib
import numpy as np

from dlif_core.errors import InputError
from dlif_core.ingest import IngestedScan, Reader, ScanFiles, ScanSource

#: Activity [Bq/mL], shape (frames, z, y, x); the axes run to the right, the front and the head.
ACTIVITY = np.random.default_rng(1).integers(200, 32000, (3, 4, 5, 6)).astype(np.float32)
#: Along x, y, z [mm].
VOXEL_SIZE = (2.0, 1.5, 3.0)
START, DURATION = (0.0, 30.0, 90.0), (30.0, 60.0, 600.0)
HALF_LIFE = 6586.2
#: Words that stand for names and remarks in headers.
SECRETS = ("Jane^Doe", "Musterfrau", "born 1970")


def stored(signs: tuple[int, int, int]) -> np.ndarray:
    """The phantom with its axes (x, y, z) in these directions."""
    x, y, z = signs
    return ACTIVITY[:, ::z, ::y, ::x]


def in_ras(activity: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """An image (frames, z, y, x) with its axes to the right, the front and the head."""
    canonical = nib.as_closest_canonical(nib.Nifti1Image(np.asarray(activity, dtype=np.float32).T, affine))
    return np.asarray(canonical.dataobj).T


def decay_factors(start: tuple[float, ...] = START, duration: tuple[float, ...] = DURATION) -> list[float]:
    """Factor of the decay correction of each frame to time zero, averaged over the frame."""
    rate = np.log(2) / HALF_LIFE
    starts, lengths = np.array(start), np.array(duration)
    return [float(factor) for factor in rate * lengths * np.exp(rate * starts) / -np.expm1(-rate * lengths)]


def scans(reader: Reader, uri: object, **options: str) -> list[ScanFiles]:
    return reader.find(ScanSource(str(uri), reader.options(**options)))


def said(read: IngestedScan) -> str:
    """Everything that is told or kept of a scan, as text."""
    kept = (read.scan.acquisition, read.findings, dict(read.provenance), dict(read.places), read.header)
    return repr((*kept, [(one.name, one.source, one.refused) for one in read.blood], read.scan.regions))


def mutations(content: bytes, count: int, head: int | None = None, seed: int = 7) -> Iterator[bytes]:
    """The bytes of a file changed in many ways: bits, bytes, numbers, pieces lost, doubled or moved.

    Parameters
    ----------
    content
        The file.
    count
        How many there are.
    head
        Changes fall into this many first bytes, most often.
    seed
        What they follow from.
    """
    random = np.random.default_rng(seed)
    changes: tuple[Callable[[bytearray, int], object], ...] = (_bit, _byte, _extreme, _cut, _lost, _doubled, _zeros)
    for number in range(count):
        changed = bytearray(content)
        for _ in range(1 + number % 3):
            reach = head if head and random.random() < 0.9 else len(changed)
            place = int(random.integers(0, max(min(reach, len(changed)), 1)))
            changes[int(random.integers(len(changes)))](changed, place)
        yield bytes(changed)


def _bit(content: bytearray, place: int) -> None:
    if content:
        content[min(place, len(content) - 1)] ^= 1 << place % 8


def _byte(content: bytearray, place: int) -> None:
    content[place : place + 1] = bytes([b"\x00\xff\x7f\x80-9e\n\t,"[place % 10]])


def _extreme(content: bytearray, place: int) -> None:
    content[place : place + 4] = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"9999", b"nan ")[place % 5]


def _cut(content: bytearray, place: int) -> None:
    del content[place:]


def _lost(content: bytearray, place: int) -> None:
    del content[place : place + 1 + place % 40]


def _doubled(content: bytearray, place: int) -> None:
    content[place:place] = content[place : place + 1 + place % 40]


def _zeros(content: bytearray, place: int) -> None:
    content[place : place + 8] = bytes(8)


def outcome(read: Callable[[], object]) -> str:
    """``read`` or ``refused``; any exception but a refusal in words comes through."""
    try:
        read()
    except InputError as error:
        fault = error
    else:
        return "read"
    assert fault.where or " faults: " in fault.message
    assert fault.message
    return "refused"
