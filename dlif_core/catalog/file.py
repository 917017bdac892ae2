"""The Parquet file of a catalog: written whole or not at all, and read column by column."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dlif_core.catalog.columns import BY_NAME, VERSION, schema
from dlif_core.errors import ConfigurationError, InputError, MissingInputError
from dlif_core.registry import suggestion
from dlif_core.storage import file_system, is_url, unreachable

if TYPE_CHECKING:
    import pyarrow as pa

_REBUILD = "Build it again with `dlif catalog build`."


def write_catalog(
    uri: str, batches: Iterable[Sequence[dict[str, Any]]], told: Callable[[int], object] = lambda rows: None
) -> int:
    """Write rows as a catalog; a reader sees the old file or the new one, never a part.

    Parameters
    ----------
    uri
        Path or URL of the file.
    batches
        Rows, some at a time, as plain values by column; an absent column is null.
    told
        Called with the number of rows so far.

    Returns
    -------
    Number of rows.
    """
    pa, parquet = _pyarrow()
    form, rows = schema(), 0
    with _replaced(uri) as file, parquet.ParquetWriter(file, form, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_pylist(list(batch), schema=form))
            rows += len(batch)
            told(rows)
    return rows


def write_text(uri: str, text: str) -> None:
    """Write a text to a path or URL; a reader sees the old text or the new one."""
    with _replaced(uri) as file:
        file.write(text.encode())


@contextlib.contextmanager
def _replaced(uri: str) -> Iterator[Any]:
    """A file to write to that takes the place of another when it is complete."""
    fs, path = _located(uri)
    partial = path if is_url(uri) else f"{path}.partial"
    fs.makedirs(fs._parent(path), exist_ok=True)
    try:
        with fs.open(partial, "wb") as file:  # an object store has the file when it is closed
            yield file
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            fs.rm(partial)
        raise
    if partial != path:
        fs.mv(partial, path)


def read_catalog(uri: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Rows of a catalog.

    Parameters
    ----------
    uri
        Path or URL of the file.
    columns
        Columns to read; all if left out. Others are not read from the disk.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If it is no catalog, or one of another version.
    ConfigurationError
        If it has no such column.
    """
    _, parquet = _pyarrow()
    fs, path = _located(uri)
    if not fs.isfile(path):
        raise MissingInputError("there is no such catalog.", where=uri, hint="`dlif catalog build` writes one.")
    with fs.open(path, "rb") as file:
        try:
            opened = parquet.ParquetFile(file)
        except Exception as fault:  # whatever other bytes may lead to
            raise InputError("it is no Parquet file.", where=uri, hint=_REBUILD) from fault
        version = (opened.schema_arrow.metadata or {}).get(b"dlif-catalog", b"").decode()
        if version != str(VERSION):
            is_other = f"is a catalog of version {version}" if version else "is no catalog of dlif"
            raise InputError(f"it {is_other}; this program reads version {VERSION}.", where=uri, hint=_REBUILD)
        return opened.read(columns=None if columns is None else [known_column(name) for name in columns])


def known_column(name: str) -> str:
    """The name of a column.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if name not in BY_NAME:
        raise ConfigurationError(
            f"a catalog has no column {name!r}.{suggestion(name, BY_NAME)}",
            where="catalog",
            hint="`dlif catalog columns` lists all.",
        )
    return name


def _located(uri: str) -> tuple[Any, str]:
    try:
        return file_system(uri)
    except ConfigurationError:
        raise
    except Exception as fault:  # each kind of filesystem has errors of its own
        raise unreachable(uri, "the address of the catalog", fault) from fault


def _pyarrow() -> tuple[Any, Any]:
    """Pyarrow and its module for Parquet.

    Raises
    ------
    ConfigurationError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as fault:
        raise ConfigurationError(
            "a catalog needs pyarrow, which is not installed.", where="dlif catalog", hint="pip install 'dlif[parquet]'"
        ) from fault
    return pyarrow, pyarrow.parquet
