"""The few operations that the commit protocol and claims need are the same on every filesystem."""

from concurrent.futures import ThreadPoolExecutor

from dlif_core.store import Store


def test_a_file_is_created_once(store: Store) -> None:
    assert store.folder.create("claims/sub-01", b"first")
    assert not store.folder.create("claims/sub-01", b"second")
    assert store.folder.read("claims/sub-01") == b"first"
    assert store.folder.files("claims") == ["sub-01"]


def test_of_many_writers_one_creates_a_file(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(5):
            won = list(pool.map(lambda n: store.folder.create(f"claims/{round_}", b"%d" % n), range(8)))  # noqa: B023
            assert sum(won) == 1
            assert store.folder.read(f"claims/{round_}") == b"%d" % won.index(True)


def test_a_file_can_be_created_again_after_it_was_removed(store: Store) -> None:
    assert store.folder.create("claims/sub-01", b"first")
    store.folder.remove("claims/sub-01")
    assert store.folder.create("claims/sub-01", b"second")
