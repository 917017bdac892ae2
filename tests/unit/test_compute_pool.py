"""Worker processes without a cluster."""

import os

from dlif_core.compute.cluster import WORKER_ENVIRONMENT, open_pool


def test_workers_begin_with_the_memory_settings_and_leave_none_behind(monkeypatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "3")
    before = dict(os.environ)
    with open_pool(1) as executor:
        found = {name: executor.submit(os.getenv, name).result() for name in WORKER_ENVIRONMENT}
    assert found == {name: str(value) for name, value in WORKER_ENVIRONMENT.items()}
    assert dict(os.environ) == before
