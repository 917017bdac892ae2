"""Splits: shares on average, no animal in two, nothing changes when scans are added."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dlif_core.catalog.columns import schema
from dlif_core.catalog.splits import HELD_OUT, CatalogSplit, parsed_shares, split_catalog
from dlif_core.errors import ConfigurationError
from dlif_core.networks.training.splits import SplitManifest
from tests.unit.catalog.rows import row, write_rows

SHARES = {"training": 0.6, "validation": 0.1, "calibration": 0.2, "test": 0.1}
DIVIDED = CatalogSplit(7, SHARES)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema())


def use_of_each(manifest: SplitManifest) -> dict[str, str]:
    return {animal: use for use, animals in manifest.splits.items() for animal in animals}


def test_shares_are_met_on_average() -> None:
    found = DIVIDED.of(table([row(number) for number in range(20_000)]))
    counts = {use: len(animals) / 20_000 for use, animals in found.splits.items()}
    assert counts == pytest.approx(SHARES, abs=0.012)  # 3.5 standard deviations of the largest


def test_shares_are_met_in_every_site() -> None:
    found = use_of_each(DIVIDED.of(table([row(number) for number in range(20_000)])))
    for site in range(5):
        uses = Counter(use for animal, use in found.items() if animal.startswith(f"study-site{site}:"))
        assert uses["training"] / 4000 == pytest.approx(0.6, abs=0.03)


def test_added_scans_change_no_use() -> None:
    before = use_of_each(DIVIDED.of(table([row(number) for number in range(300)])))
    after = use_of_each(DIVIDED.of(table([row(number) for number in reversed(range(900))])))
    assert {animal: after[animal] for animal in before} == before


def test_another_seed_gives_another_division() -> None:
    rows = table([row(number) for number in range(300)])
    first, second = (use_of_each(CatalogSplit(seed, SHARES).of(rows)) for seed in (1, 2))
    assert sum(first[animal] != second[animal] for animal in first) > 100


def test_all_scans_of_an_animal_are_together_even_across_studies_of_a_site() -> None:
    rows = [
        row(number, study=study, animal=f"{study}:{row(number)['subject']}", scan=f"{number}{study}{session}")
        | {"data_digest": f"{number}{study}{session}"}
        for number in range(200)
        for study in ("a", "b")
        for session in range(3)
    ]
    uses = use_of_each(DIVIDED.of(table(rows)))
    assert len(uses) == 400
    for number in range(200):
        assert uses[f"a:sub-{number:06d}"] == uses[f"b:sub-{number:06d}"]


def test_a_site_that_is_held_out_is_in_no_other_split() -> None:
    rows = table([row(number) for number in range(500)])
    found = CatalogSplit(7, SHARES, ("site3",)).of(rows)
    assert set(found.splits[HELD_OUT]) == {f"study-site3:sub-{number:06d}" for number in range(3, 500, 5)}
    others = {animal: use for animal, use in use_of_each(found).items() if use != HELD_OUT}
    without = use_of_each(DIVIDED.of(rows))
    assert others == {animal: use for animal, use in without.items() if "site3" not in animal}


def test_scans_without_result_are_not_divided() -> None:
    rows = table([row(0), row(1, status="excluded"), row(2, status="failed")])
    assert set(use_of_each(DIVIDED.of(rows))) == {"study-site0:sub-000000"}


def test_the_same_files_under_two_names_are_refused() -> None:
    rows = table([row(0, data_digest="same"), row(1, data_digest="same")])
    with pytest.raises(ConfigurationError, match="are the same files") as fault:
        DIVIDED.of(rows)
    assert "sub-000000 of study study-site0" in fault.value.message


def test_an_unknown_site_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'site0'"):
        CatalogSplit(0, SHARES, ("site_0",)).of(table([row(0)]))


def test_the_file_is_one_that_trained_models_hold(tmp_path: Path) -> None:
    catalog = write_rows(tmp_path, [row(number) for number in range(100)])
    target = tmp_path / "splits.json"
    counts = split_catalog(catalog, DIVIDED, "species == 'mouse'", str(target))
    found = SplitManifest.from_dict(json.loads(target.read_text()))
    mice = {f"study-site{number % 5}:sub-{number:06d}" for number in range(0, 100, 3)}
    assert set(use_of_each(found)) == mice
    assert counts == {use: (len(animals), len(animals)) for use, animals in found.splits.items()}


def test_nothing_to_divide_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no scan to divide"):
        split_catalog(write_rows(tmp_path, [row(0)]), DIVIDED, "frames > 1000", str(tmp_path / "splits.json"))


class TestShares:
    def test_are_read(self) -> None:
        assert parsed_shares("training=0.8, test = 0.2") == {"training": 0.8, "test": 0.2}

    @pytest.mark.parametrize("text", ["", "training", "=1", "a=b", "a=0.5,a=0.5", "a=nan"])
    def test_that_can_not_be_read_are_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="gives no share"):
            parsed_shares(text)

    @pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 1.2, "b": -0.2}, {"a": 0.7, "b": 0.7}])
    def test_that_do_not_add_up_are_refused(self, shares: dict[str, float]) -> None:
        with pytest.raises(ConfigurationError, match="the shares are"):
            CatalogSplit(0, shares)
