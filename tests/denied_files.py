"""A filesystem in memory that denies some files and folders, as permissions and object stores do."""

from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class DeniedFiles(MemoryFileSystem):
    """Nothing below a path whose end is in `denied` can be listed or read; each time with another number."""

    protocol = "denied"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    denied: ClassVar[set[str]] = set()
    requests: ClassVar[int] = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("denied://", "memory://")))

    def _require_allowed(self, path: str) -> None:
        type(self).requests += 1
        if any(path.rstrip("/").endswith(end) for end in self.denied):
            raise PermissionError(13, f"request {self.requests} was denied", path)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._require_allowed(path)
        return super().ls(path, detail=detail, **options)

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        self._require_allowed(path)
        return super()._open(path, *arguments, **options)


def denied_copy(folder: str, *denied: str) -> str:
    """URI of a copy of a folder, of which paths with these ends can't be listed or read."""
    fsspec.register_implementation("denied", DeniedFiles, clobber=True)
    DeniedFiles.store.clear()
    DeniedFiles.denied.clear()
    file_system = fsspec.filesystem("denied")
    file_system.put(f"{folder}/", "/data/", recursive=True)
    DeniedFiles.denied |= set(denied)
    return "denied:///data"
