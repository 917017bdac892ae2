"""Mutations of JSON sidecars and of the study file by their structure: keys, types, units and sizes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.change import Done, Mutation, NotPossibleError, choices, json_unseen, settings_unseen

Fields = dict[str, Any]

_UNITS = choices(
    "Bq/mL|kBq/mL|MBq/mL|Bq/ml|BQML|Bq/cc|bq/mL|mBq/mL|kBq/ml |nCi/mL|uCi/cc|µCi/mL|MBq|kBq|GBq|mCi|Bq|MBQ|Bq mL-1|"
    "s|sec|seconds|min|minutes|ms|h|g|kg|lb|mg|SUV|%|percent|unitless|counts|cps||n/a|1|\u03bcCi|Bq*mL^-1|Bq/L"
)
#: Units of less than a hundred times those of the sound study: the numbers stay possible.
_OF_THE_SAME_SIZE = ("lb", "mCi", "nCi/mL")
#: Factors by which a number is off if it is in another unit than said.
_SCALES = (1e3, 1e-3, 60.0, 1 / 60, 1e6, 1e-6, 3600.0, 37.0, -1.0)
_RAW = (
    *("1e400", "-1e400", "NaN", "Infinity", "1" * 5000, "0.1e-400"),
    *("[" * 200 + "]" * 200, '{"a":' * 150 + "1" + "}" * 150),
)
_TEXTS = choices(
    "|n/a|N/A|unknown|\ud800|\x00|\u202eabc|../../etc/passwd|1_000|0x10|\uff11\uff12|1,5|1;2|12:30|09:30:00|99:99:99|"
    "2024-01-01T09:30:00|09:30:00.5+01:00|NaN|inf|1e5| 1 |['a']|false|no"
)
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1e300, 10**40, [], {}, [[]], [None], {"Units": {}}, "a" * 100_000),
    *_TEXTS,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with a key or position in it."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in _places(value[key])]


def _place(rng: random.Random, fields: Fields, *kinds: type) -> tuple[Any, Any]:
    """A container and a key in it, of values of some kinds; fields of the top level are as likely as all below."""
    top = [(fields, key) for key in fields]
    for places in (rng.choice((top, _places(fields))), _places(fields)):
        fit = [(holder, key) for holder, key in places if not kinds or _is_a(holder[key], kinds)]
        if fit:
            return rng.choice(fit)
    raise NotPossibleError


def _is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def delete(rng: random.Random, fields: Fields) -> str:
    holder, key = _place(rng, fields)
    del holder[key]
    return f"{key}"


def rename(rng: random.Random, fields: Fields) -> str:
    holders = [fields, *(value for value in fields.values() if isinstance(value, dict) and value)]
    holder = rng.choice([one for one in holders if one])
    key = rng.choice(list(holder))
    name = rng.choice(
        (
            key.lower(),
            key.upper(),
            f"{key}s",
            f" {key}",
            key.replace("o", "0"),
            f"{key}\u00a0",
            key[:-1],
            f"{key}_old",
            "",
        )
    )
    holder[name] = holder.pop(key)
    return f"{key} → {name!r}"


def odd(rng: random.Random, fields: Fields) -> str:
    holder, key = _place(rng, fields)
    holder[key] = rng.choice(_ODD)
    return f"{key} = {holder[key]!r:.60}"


def retyped(rng: random.Random, fields: Fields) -> str:
    holder, key = _place(rng, fields)
    value = holder[key]
    ways: tuple[Callable[[Any], Any], ...] = (
        str,
        lambda v: [v],
        lambda v: {"Value": v},
        json.dumps,
        lambda v: [v, v],
        bool,
    )
    holder[key] = rng.choice(ways)(value)
    return f"{key} = {holder[key]!r:.60}"


def unit(rng: random.Random, fields: Fields) -> str:
    places = [(holder, key) for holder, key in _places(fields) if "Units" in str(key) and isinstance(holder[key], str)]
    if not places:
        raise NotPossibleError
    new = rng.choice(_UNITS)
    chosen = places if rng.random() < 0.3 else [rng.choice(places)]
    for holder, key in chosen:
        holder[key] = new
    return f"{len(chosen)} units = {new!r}"


def scaled(rng: random.Random, fields: Fields) -> str:
    holder, key = _place(rng, fields, int, float, list)
    by, value = rng.choice(_SCALES), holder[key]
    holder[key] = [_times(each, by) for each in value] if isinstance(value, list) else _times(value, by)
    return f"{key} × {by:.3g}"


def _times(value: Any, by: float) -> Any:
    return value * by if isinstance(value, int | float) else value


def frame_times(rng: random.Random, fields: Fields) -> str:
    """Frame times in another unit, shifted, cut, longer, reversed, or with something odd in them."""
    if "FrameDuration" not in fields or "FrameTimesStart" not in fields:
        raise NotPossibleError
    start, duration = fields["FrameTimesStart"], fields["FrameDuration"]
    if not (isinstance(start, list) and isinstance(duration, list) and len(start) > 2 and len(duration) > 2):
        raise NotPossibleError
    way = rng.choice(("min", "ms", "shift", "cut", "longer", "reversed", "odd", "ends", "same"))
    if way in ("min", "ms"):
        by = 1 / 60 if way == "min" else 1000.0
        fields["FrameTimesStart"], fields["FrameDuration"] = ([_times(t, by) for t in one] for one in (start, duration))
    elif way == "shift":
        by = rng.choice((-600.0, 300.0, 3600.0, 34200.0))
        fields["FrameTimesStart"] = [t + by if isinstance(t, int | float) else t for t in start]
        way = f"shift by {by}"
    elif way == "ends":
        fields["FrameDuration"] = [a + b for a, b in zip(start, duration, strict=False) if _is_a(a, (int, float))]
    elif way == "same":
        fields["FrameTimesStart"] = [start[1]] * len(start)
    else:
        one = rng.choice((start, duration))
        if way == "cut":
            one.pop(rng.randrange(len(one)))
        elif way == "longer":
            one.append(one[-1])
        elif way == "reversed":
            one.reverse()
        else:
            one[rng.randrange(len(one))] = rng.choice(_ODD)
    return way


def _of_json(change: Callable[[random.Random, Fields], str]) -> Mutation:
    def mutate(rng: random.Random, path: Path) -> Done:
        old = path.read_bytes()
        try:
            fields = json.loads(old)
        except ValueError as fault:
            raise NotPossibleError from fault
        if not isinstance(fields, dict) or not fields:
            raise NotPossibleError
        detail = change(rng, fields)
        new = json.dumps(fields, indent=1).encode()
        path.write_bytes(new)
        return detail, _unit_unseen(detail) if change in (unit, frame_times) else json_unseen(old, new)

    return Mutation(f"json: {change.__name__}", "*.json", mutate)


def _unit_unseen(detail: str) -> str:
    return "a unit of about the same size" if any(f"= {unit!r}" in detail for unit in _OF_THE_SAME_SIZE) else ""


def _raw(rng: random.Random, path: Path) -> Done:
    """A value that only a file can hold: numbers beyond all limits, levels without end, a key that stands twice."""
    old = path.read_bytes()
    try:
        fields = json.loads(old)
        key = rng.choice(list(fields))
    except (ValueError, IndexError, TypeError, KeyError) as fault:
        raise NotPossibleError from fault
    text = (
        json.dumps(fields | {key: "@"}, indent=1)
        if rng.random() < 0.7
        else json.dumps(fields, indent=1)[:-1] + f',"{key}": "@"}}'
    )
    raw = rng.choice((*_RAW, "1", '"Bq/mL"', json.dumps(fields[key])))
    path.write_bytes(text.replace('"@"', raw).encode())
    return f"{key} = {raw[:40]}", json_unseen(old, path.read_bytes())


def _of_study(change: Callable[[random.Random, Fields], str]) -> Mutation:
    def mutate(rng: random.Random, path: Path) -> Done:
        old = path.read_bytes()
        try:
            fields = yaml.safe_load(old)
        except Exception as fault:  # any way in which an earlier change spoilt it
            raise NotPossibleError from fault
        if not isinstance(fields, dict) or not fields:
            raise NotPossibleError
        detail = change(rng, fields)
        path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8", errors="surrogatepass")
        return detail, settings_unseen(old, path.read_bytes())

    return Mutation(f"study: {change.__name__}", "study.yaml", mutate)


MUTATIONS = (
    *map(_of_json, (delete, rename, odd, odd, retyped, unit, unit, scaled, scaled, frame_times)),
    Mutation("json: raw", "*.json", _raw),
    *map(_of_study, (delete, rename, odd, retyped, scaled)),
)
