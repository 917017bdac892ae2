"""Parameters of flows, described for the form in the Prefect UI, which reads neither docstrings nor `Field` texts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

#: An address with credentials before its host: the server would keep it among the parameters of the run.
_NO_LOGIN = r"^(?![^?#]*://[^/?#]*@)"


def described(text: str, example: str = "", pattern: str = "") -> Any:
    """What the form says of a parameter, and what text it takes; to be put into `Annotated`."""
    told: dict[str, Any] = {"description": text, "examples": [example] if example else [], "pattern": pattern}
    return Field(json_schema_extra={name: value for name, value in told.items() if value})


Count = Annotated[int, Field(ge=1)]
StudyPath = Annotated[
    str, described("Path of the study file, as the worker sees it.", "/data/mice/study.yaml", _NO_LOGIN)
]
ClusterName = Annotated[
    str,
    described(
        "Where the work is done: local, name or file of a profile, or tls://host:8786; left out, as the study says."
    ),
]
WorkerCount = Annotated[Count | None, described("Worker processes of a local cluster; if left out, one for each core.")]
