"""Whatever bytes a file holds, its reader gives what the file says, or an error of dlif that names the file."""

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.nifti1 import Nifti1Header

from dlif_core.errors import ConfigurationError, ImageError, InputError, UnitError
from dlif_core.ingest.nifti_header import parse_header
from dlif_core.ingest.tables import number, read_json, read_table
from dlif_core.units import factor
from dlif_core.yaml_files import read_yaml

# The same examples in every run: a change of the code decides whether they pass.
often = settings(max_examples=300, derandomize=True, deadline=None)

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
CELLS = st.text(st.characters(exclude_characters="\t\r\n", codec="utf-8")) | st.floats().map(repr)


def reading(reader: Callable[..., Any], content: bytes, suffix: str, fault: type[Exception]) -> Any:
    """What a reader makes of a file; None where it refuses it, with the file's name and what to do."""
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        try:
            return reader(Path(file.name) if reader is read_yaml else file.name)
        except (InputError, ConfigurationError) as refusal:
            assert isinstance(refusal, fault)
            assert file.name in refusal.where
            assert refusal.message
            assert refusal.hint
            return None


@often
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_as_json_table_or_settings(content: bytes) -> None:
    assert isinstance(reading(read_json, content, ".json", InputError), dict | None)
    table = reading(read_table, content, ".tsv", InputError)
    assert table is None or len({len(cells) for cells in table.columns.values()}) <= 1
    reading(read_yaml, content, ".yaml", ConfigurationError)


@often
@given(st.dictionaries(st.text(), VALUES))
def test_any_json_object_is_read_or_refused_and_numbers_stay(fields: dict[str, Any]) -> None:
    found = reading(read_json, json.dumps(fields).encode(), ".json", InputError)
    for name, value in fields.items():
        if found is not None and isinstance(value, float) and name.isalnum():
            assert found[name] == value or (math.isnan(value) and math.isnan(found[name]))


@often
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1))
def test_a_cell_is_the_number_that_stands_there_or_none(rows: list[tuple[str, str]]) -> None:
    text = "\n".join(["a\tb", *("\t".join(row) for row in rows)])
    table = reading(read_table, text.encode(), ".tsv", InputError)
    for cells in [] if table is None else table.columns.values():
        for cell in cells:
            assert number(cell) is None or number(cell) == float(cell)


@often
@given(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), max_size=6), st.integers(0, 352))
def test_any_header_is_refused_or_possible(changes: list[tuple[int, int]], kept: int) -> None:
    sound = Nifti1Header()
    sound.set_data_shape((8, 8, 8, 12))
    sound["vox_offset"], sound["scl_slope"], sound["scl_inter"], sound["magic"] = 352, 1, 0, b"n+1"
    block = bytearray(sound.binaryblock + bytes(4))
    for at, byte in changes:
        block[at] = byte
    block = block[:kept] if len(changes) == 6 else block
    try:
        header = parse_header(bytes(block), "scan_pet.nii")
    except ImageError as refusal:
        assert refusal.where == "scan_pet.nii"
        assert refusal.hint
        return
    assert len(header.shape) == 4
    assert min(header.shape) > 0
    assert header.offset >= 348
    assert all(math.isfinite(value) for value in (header.slope, header.intercept, *header.affine.flat))
    assert all(1e-3 <= edge <= 1e3 for edge in header.voxel_size)


@often
@given(
    st.text() | st.sampled_from(["kBq/mL", "Bq", "s", "kg"]),
    st.sampled_from(["concentration", "activity", "time", "mass"]),
)
def test_a_unit_has_a_factor_or_is_refused(unit: str, dimension: Any) -> None:
    try:
        assert 0 < factor(unit, dimension, where="field") < math.inf
    except UnitError as refusal:
        assert refusal.where == "field"
        assert refusal.hint


@pytest.mark.parametrize("depth", [99, 101, 10_000, 100_000])
def test_levels_of_json_have_a_limit(depth: int) -> None:
    content = ('{"a":' * depth + "1" + "}" * depth).encode()
    assert (reading(read_json, content, ".json", InputError) is None) is (depth > 100)
