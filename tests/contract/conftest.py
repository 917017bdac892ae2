"""Stores that every test of the store's contract runs on: local disk, memory and, where DLIF_TEST_S3 names one, S3."""

import os
import uuid
from pathlib import Path

import pytest

from dlif_core.store import Store, create_store

S3_BUCKET = os.environ.get("DLIF_TEST_S3")  # such as s3://test; endpoint and keys are given in FSSPEC_S3_…


@pytest.fixture(params=["local", "memory", *(["s3"] if S3_BUCKET else [])])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    unique = uuid.uuid4().hex
    return {"local": f"{tmp_path}/store", "memory": f"memory://{unique}/store", "s3": f"{S3_BUCKET}/{unique}/store"}[
        request.param
    ]


@pytest.fixture
def store(uri: str) -> Store:
    return create_store(uri)
