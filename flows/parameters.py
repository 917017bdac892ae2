"""Parameters of flows, described for the form in the Prefect UI, which reads neither docstrings nor `Field` texts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field


def described(text: str, example: str = "") -> Any:
    """What the form says of a parameter; to be put into `Annotated`."""
    return Field(json_schema_extra={"description": text} | ({"examples": [example]} if example else {}))


Count = Annotated[int, Field(ge=1)]
StudyPath = Annotated[str, described("Path of the study file, as the worker sees it.", "/data/mice/study.yaml")]
ClusterName = Annotated[
    str,
    described(
        "Where the work is done: local, name or file of a profile, or tls://host:8786; left out, as the study says."
    ),
]
WorkerCount = Annotated[Count | None, described("Worker processes of a local cluster; if left out, one for each core.")]
