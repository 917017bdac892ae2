"""Where files lie: local disks and whatever else fsspec reaches, with one way to open each.

Object stores that don't answer are waited for, and what they refuse is told as an error of dlif (`s3`).
"""

from dlif_core.storage.file_systems import OPTIONS, async_s3, file_system, is_file, is_s3, is_url, joined, unreachable
from dlif_core.storage.transient import is_transient
from dlif_core.storage.waiting import AnswerLostError

__all__ = [
    "OPTIONS",
    "AnswerLostError",
    "async_s3",
    "file_system",
    "is_file",
    "is_s3",
    "is_transient",
    "is_url",
    "joined",
    "unreachable",
]
