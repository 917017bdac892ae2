"""The contract of the store, on S3, and what only writers on several machines can do to each other."""

import pytest

from dlif_core.errors import StoreError
from dlif_core.store import Fingerprint, Marker, Store, create_store
from dlif_core.store.layout import PACK_FILE
from tests.contract.products import NEW, OLD, SOURCE, curve, files, publish_curve
from tests.contract.test_store_commit import *  # noqa: F403  the same tests, on S3


@pytest.fixture
def uri(s3_folder: str) -> str:
    return f"{s3_folder}/store"


@pytest.fixture
def store(uri: str) -> Store:
    return create_store(uri)


def write(store: Store, values: list[float], fingerprint: Fingerprint) -> Marker:
    """Publish a curve as a worker does that nobody helps."""
    with store.stage(SOURCE, shared=False) as staging:
        staging.write_dataset(curve(values))
        return staging.publish(fingerprint)


def test_what_one_worker_wrote_on_its_own_disk_is_the_same_product(store: Store, s3_folder: str) -> None:
    publish_curve(store, [1, 2, 3])
    own = create_store(f"{s3_folder}/own")
    marker = write(own, [1, 2, 3], OLD)
    assert marker.content == store.marker(SOURCE).content
    own.verify(SOURCE)
    assert not [name for name in files(own.uri) if name.startswith(".staging")]


def test_it_replaces_an_earlier_product(store: Store) -> None:
    publish_curve(store, [1, 2, 3, 4])
    write(store, [7, 8], NEW)
    assert store.open_dataset(SOURCE)["plasma"].values.tolist() == [7, 8]
    store.verify(SOURCE)


def test_what_a_killed_worker_left_half_sent_is_replaced(store: Store) -> None:
    store.folder.write(f"{SOURCE}/leftover/c/0", b"half")
    assert store.products() == {}
    write(store, [7, 8], NEW)
    store.verify(SOURCE)


def test_of_two_writers_the_one_that_was_taken_for_dead_is_refused(store: Store) -> None:
    slow = store.stage(SOURCE, shared=False)
    slow.write_dataset(curve([1, 2]))
    quick = store.stage(SOURCE, shared=False)
    with pytest.raises(StoreError, match="another process has begun"):
        slow.publish(OLD)
    quick.write_dataset(curve([7, 8]))
    quick.publish(NEW)
    assert store.open_dataset(SOURCE)["plasma"].values.tolist() == [7, 8]


def test_of_two_that_send_the_same_product_at_once_one_commits(store: Store) -> None:
    staged = f".staging/{SOURCE.replace('/', '!')}/product"
    publish_curve(store, [1, 2])
    first = store.folder.read(f"{SOURCE}/commit.json")
    store.folder.write(f"{staged}/{PACK_FILE}", store.folder.read(f"{SOURCE}/{PACK_FILE}"))
    store.folder.write(f"{staged}/commit.json", first.replace(b'"seconds"', b'"Seconds"'))
    with pytest.raises(StoreError, match="another process has published this product"):
        store.folder.place(staged, SOURCE)
    assert store.folder.read(f"{SOURCE}/commit.json") == first
