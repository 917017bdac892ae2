"""Filters choose the rows that Python itself would choose, and nothing but comparisons is understood."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlif_core.catalog.filters import CatalogFilter, read_filtered
from dlif_core.errors import ConfigurationError
from tests.unit.catalog.rows import row, write_rows

ROWS = [row(number) for number in range(60)]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_rows(tmp_path_factory.mktemp("catalog"), ROWS)


def weight_of(scan: dict[str, Any]) -> float:
    return float(scan["body_weight"])


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("", lambda scan: True),
        ("species == 'mouse'", lambda scan: scan["species"] == "mouse"),
        ("'mouse' == species", lambda scan: scan["species"] == "mouse"),
        ("species != 'mouse'", lambda scan: scan["species"] == "rat"),  # of a missing one it can't be told
        ("not species == 'mouse'", lambda scan: scan["species"] == "rat"),
        ("species is None", lambda scan: scan["species"] is None),
        ("species is not None and frames < 10", lambda scan: scan["species"] and scan["frames"] < 10),
        ("species is None or species == 'rat'", lambda scan: scan["species"] in (None, "rat")),
        ("0.022 <= body_weight < 0.025", lambda scan: 0.022 <= weight_of(scan) < 0.025),
        ("10 > frames", lambda scan: scan["frames"] < 10),
        ("arterial_samples >= 10.5", lambda scan: scan["arterial_samples"] >= 10.5),
        ("image", lambda scan: scan["image"]),
        ("not image", lambda scan: not scan["image"]),
        ("image == False", lambda scan: not scan["image"]),
        ("site in ['site1', 'site2']", lambda scan: scan["site"] in ("site1", "site2")),
        ("site not in ('site1',)", lambda scan: scan["site"] != "site1"),
        ("site in []", lambda scan: False),
        ("'arterial' in input_functions", lambda scan: "arterial" in scan["input_functions"]),
        ("'arterial' not in input_functions", lambda scan: "arterial" not in scan["input_functions"]),
        ("'art' in input_functions", lambda scan: False),
        (
            "(species == 'mouse' or frames > 50) and not (image and site == 'site0')",
            lambda scan: (
                (scan["species"] == "mouse" or scan["frames"] > 50) and not (scan["image"] and scan["site"] == "site0")
            ),
        ),
    ],
)
def test_rows_are_those_of_python(catalog: str, text: str, truth: Callable[[dict[str, Any]], bool]) -> None:
    found = read_filtered(catalog, CatalogFilter(text), ["scan"])["scan"].to_pylist()
    assert found == [scan["scan"] for scan in ROWS if truth(scan)]


def test_an_empty_catalog_is_filtered(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [])
    text = "'a' in regions and site in ['a'] and frames > 3 or image"
    assert read_filtered(path, CatalogFilter(text), ["scan"]).num_rows == 0


def test_a_list_that_is_missing_holds_nothing(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [row(0, regions=None), row(1, regions=["brain", None]), row(2, regions=[])])
    assert read_filtered(path, CatalogFilter("'brain' in regions"), ["frames"])["frames"].to_pylist() == [1]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch /tmp/x')",
        "species.upper() == 'MOUSE'",
        "[scan for scan in site]",
        "frames + 1 > 3",
        "lambda: site",
        "site == f'{frames}'",
        "site[0] == 'a'",
        "frames > open('/etc/passwd')",
        "(site := 'a') == 'a'",
        "1 == 1",
        "True",
        "species",
        "site == site",
        "frames == '3'",
        "frames == True",
        "image == 1",
        "species == 3",
        "regions == 'brain'",
        "'brain' in species",
        "products == 'a'",
        "site is 'a'",
        "site == '\\ud800'",
        "frames == " + "9" * 500,
        "site == 'a' garbage",
        "not " * 60 + "image",
        "(" * 300 + "image" + ")" * 300,
        "image or " * 300 + "image",
        "   ",
        "\0",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        CatalogFilter(text)


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'specie'. Did you mean 'species'"):
        CatalogFilter("specie == 'mouse'")


def test_the_columns_of_a_condition_are_known() -> None:
    assert CatalogFilter("'a' in regions and not 3 < frames").columns == {"regions", "frames"}
