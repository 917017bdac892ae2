"""Registries of models, methods, readers and stages."""

import importlib.metadata
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.registry import Registry


@dataclass(frozen=True)
class Toy:
    name: str


OF_ANOTHER_PACKAGE = Toy("third")
NO_PART = 5


@pytest.fixture
def toys() -> Registry[Toy]:
    return Registry("toy", "", [Toy("second"), Toy("first")])


def with_entry_point(monkeypatch: pytest.MonkeyPatch, value: str) -> Registry[Toy]:
    point = EntryPoint(name="any", value=value, group="dlif.toys")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == "dlif.toys" else [])
    return Registry("toy", "dlif.toys", [Toy("first")])


class TestRegistry:
    def test_is_a_mapping_in_the_order_of_entry(self, toys: Registry[Toy]) -> None:
        assert list(toys) == ["second", "first"]
        assert toys["first"] == Toy("first")
        assert len(toys) == 2
        assert "third" not in toys

    def test_takes_a_part_at_run_time_and_gives_it_back(self, toys: Registry[Toy]) -> None:
        assert list(toys) == ["second", "first"]
        toys.register(Toy("third"))
        assert toys.named("third") == Toy("third")
        toys.unregister("third")
        assert "third" not in toys

    def test_refuses_a_name_that_is_taken(self, toys: Registry[Toy]) -> None:
        with pytest.raises(ConfigurationError, match="the name 'first' is taken"):
            toys.register(Toy("first"))

    @pytest.mark.parametrize("name", ["a/b", "../up", "", " ", ".hidden", "a b", 5, None])
    def test_refuses_a_name_that_can_not_be_part_of_a_path(self, toys: Registry[Toy], name: object) -> None:
        with pytest.raises(ConfigurationError, match=r"is not possible|has no name") as fault:
            toys.register(Toy(name))  # type: ignore[arg-type]
        assert "Give it a name of letters" in fault.value.hint

    def test_names_the_nearest_of_an_unknown_name(self, toys: Registry[Toy]) -> None:
        with pytest.raises(ConfigurationError, match=r"Did you mean 'first'\?") as fault:
            toys.named("frist", where="kinetics")
        assert fault.value.hint == "Known: second, first."


class TestPartsOfOtherPackages:
    def test_are_loaded_by_their_entry_point(self, monkeypatch: pytest.MonkeyPatch) -> None:
        toys = with_entry_point(monkeypatch, "tests.unit.test_registry:OF_ANOTHER_PACKAGE")
        assert list(toys) == ["first", "third"]

    def test_that_break_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        toys = with_entry_point(monkeypatch, "no_such_package:part")
        with pytest.raises(ConfigurationError, match="any = no_such_package:part: it can't be loaded"):
            list(toys)

    def test_that_are_no_parts_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        toys = with_entry_point(monkeypatch, "tests.unit.test_registry:NO_PART")
        with pytest.raises(ConfigurationError, match=r"toy \(tests.unit.test_registry:NO_PART\): 5 has no name"):
            list(toys)
