"""Settings as validated objects: faults are named with place and value, unknown keys with the nearest valid one."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from dlif_core.errors import ConfigurationError
from dlif_core.validation import Section, unknown_key, validated, validated_each


class Inner(Section):
    size: int
    mode: float | Literal["find"] = "find"


class Outer(Section):
    inner: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = Field(default_factory=dict)
    either: str | Inner = ""
    text: str = ""
    pair: tuple[int, int] = (1, 2)
    many: Annotated[tuple[int, ...], Field(min_length=2)] = (1, 2)


@dataclass(frozen=True)
class Plain:
    size: int
    mode: Literal["a", "b"] = "a"


def fault_of(content: Any, kind: type = Outer) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as fault:
        validated(kind, content, where="study.yaml", hint="Correct it.")
    return fault.value


class TestValidated:
    def test_gives_the_object(self) -> None:
        found = validated(Outer, {"inner": [{"size": 1}]}, where="", hint="")
        assert found == Outer(inner=(Inner(size=1),))

    def test_gives_a_dataclass(self) -> None:
        assert validated(Plain, {"size": 1}, where="", hint="") == Plain(1)
        message = fault_of({"mode": "c"}, Plain).message
        assert message == "size: it is needed. mode: Input should be 'a' or 'b' (got 'c')."

    def test_says_where_and_what_to_do(self) -> None:
        fault = fault_of({"iner": []})
        assert (fault.where, fault.hint) == ("study.yaml", "Correct it.")
        assert fault.message == "iner: unknown key 'iner'. Did you mean 'inner'?"

    def test_lists_the_keys_if_none_is_near(self) -> None:
        assert fault_of({"x": 1}).message == "x: unknown key 'x'. Valid are: inner, by_name, either, text, pair, many."

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"inner": [{"size": 1}, {"size": 1, "mod": 2}]}, "inner.1.mod: unknown key 'mod'. Did you mean 'mode'?"),
            ({"by_name": {"a": {"size": 1, "siz": 2}}}, "by_name.a.siz: unknown key 'siz'. Did you mean 'size'?"),
            ({"inner": [{}]}, "inner.0.size: it is needed."),
            ({"inner": {"size": 1}}, "inner: a list belongs here (got {'size': 1})."),
            ({"pair": [1]}, "pair.1: it is needed."),
            ({"pair": [1, 2, 3]}, "pair: at most 2 belong here (got [1, 2, 3])."),
            ({"text": 5}, "text: a text belongs here: put it in quotes, or YAML reads it as a number (got 5)."),
            ({"text": 1.5}, "text: a text belongs here: put it in quotes, or YAML reads it as a number (got 1.5)."),
            ({"text": True}, "text: a text belongs here: put it in quotes, or YAML reads it as yes or no (got True)."),
            (
                {"text": date(2024, 5, 1)},
                "text: a text belongs here: put it in quotes, or YAML reads it as a date "
                "(got datetime.date(2024, 5, 1)).",
            ),
            ({"text": ["a"]}, "text: a text belongs here (got ['a'])."),
            ({"many": [1]}, "many: at least 2 belong here (got [1])."),
            ({"by_name": "a"}, "by_name: keys and values belong here (got 'a')."),
            ("text", "keys and values belong here (got 'text')."),
            ({1: 2}, "1: keys are texts here."),
        ],
    )
    def test_names_the_place(self, content: Any, message: str) -> None:
        assert fault_of(content).message == message

    def test_names_every_kind_that_a_value_may_have_once(self) -> None:
        message = fault_of({"inner": [{"size": 1, "mode": "auto"}]}).message
        assert message.startswith("inner.0.mode: Input should be a valid number")
        assert message.endswith(", or: Input should be 'find' (got 'auto').")

    def test_leaves_out_the_kinds_from_the_place(self) -> None:
        message = fault_of({"either": {"size": "x"}}).message
        assert message.startswith("either: a text belongs here (got {'size': 'x'}). either.size: ")

    def test_names_all_faults_at_once(self) -> None:
        message = fault_of({"inner": [{"size": "x"}], "by_name": {"a": {}}, "outer": 1}).message
        for place in ("inner.0.size: ", "by_name.a.size: ", "outer: "):
            assert place in message

    def test_shortens_long_values(self) -> None:
        assert len(fault_of({"inner": [{"size": "x" * 1000}]}).message) < 200


def test_a_section_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Inner(size=1).size = 2  # type: ignore[misc]


def test_an_unknown_key_of_a_section_without_keys() -> None:
    assert unknown_key("a", ()).message() == "unknown key 'a'. Valid are: none."


def test_an_unknown_key_may_hold_braces() -> None:
    assert fault_of({"{x}": 1}).message.startswith("{x}: unknown key '{x}'.")


class TestEach:
    def test_is_validated_by_key_and_value(self) -> None:
        assert validated_each({"a": 1, "b": 2}, lambda key, value: (key, value + 1), "numbers") == {
            "a": ("a", 2),
            "b": ("b", 3),
        }

    def test_faults_of_all_are_kept_with_their_keys(self) -> None:
        def validate(key: str, value: Any) -> Inner:
            if key == "odd":
                raise ConfigurationError("it is odd.")
            return Inner.model_validate(value)

        with pytest.raises(ValueError, match="numbers") as fault:
            validated_each({"odd": {}, "a": {"siz": 1}, "b": {"size": 1}}, validate, "numbers")
        found = {details["loc"]: details["msg"] for details in fault.value.errors()}  # type: ignore[attr-defined]
        assert found == {
            ("odd",): "Value error, it is odd.",
            ("a", "size"): "Field required",
            ("a", "siz"): "unknown key 'siz'. Did you mean 'size'?",
        }
