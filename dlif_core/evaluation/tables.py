"""Results of an evaluation as files: records of every scan, metrics of the cohort, and a page for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from dlif_core.evaluation.candidates import Candidate
from dlif_core.evaluation.conditions import HELD_OUT_LABORATORIES, HOME, TRACERS, Condition
from dlif_core.evaluation.metrics import T_STAR
from dlif_core.evaluation.runner import unmade
from dlif_core.evaluation.summary import COHORT, COHORT_METRICS, compare, subgroups, summarise
from dlif_core.finite import to_json
from dlif_core.statistics.resampling import RESAMPLES

#: Files that `write_results` writes.
RECORDS, SUMMARY, METRICS, PAGE = "evaluation.tsv", "summary.json", "summary.tsv", "evaluation.md"

_ABSENT = "–"


@dataclass(frozen=True, eq=False)
class Results:
    """Results of an evaluation.

    Attributes
    ----------
    records
        One row for each condition, scan and method, from `runner.evaluate`.
    metrics
        Metrics of the cohort, from `summary.summarise`.
    comparisons
        The first method against every other, from `summary.compare`.
    groups
        Metrics of groups of animals, from `summary.subgroups`.
    about
        Facts of the evaluation as plain values: version, conditions with their seeds, models.
    """

    records: pd.DataFrame
    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    groups: pd.DataFrame
    about: Mapping[str, Any]


def results(records: pd.DataFrame, methods: Sequence[Candidate], scans: Sequence[Condition]) -> Results:
    """Summarise records; the first method is compared with every other."""
    about = {
        "version": version("dlif"),
        "conditions": _described(scans),
        "methods": [{"name": m.name, "title": m.title, "model": dict(m.model)} for m in methods],
        "t_star_min": T_STAR,
        "resamples": RESAMPLES,
    }
    first = methods[0].name
    return Results(records, summarise(records), compare(records, first), subgroups(records), about)


def _described(scans: Sequence[Condition]) -> list[dict[str, Any]]:
    """Plain values for every condition, and before them for all held-out laboratories where they are of two kinds."""
    parts = [condition for condition in scans if condition.name in HELD_OUT_LABORATORIES]
    joint = [_as_values(COHORT, "mice of all held-out laboratories", parts)] if len(parts) > 1 else []
    return joint + [_as_values(condition.name, condition.title, [condition]) for condition in scans]


def _as_values(name: str, title: str, parts: Sequence[Condition]) -> dict[str, Any]:
    seeds = [seed for part in parts for seed in part.seeds]
    return {
        "name": name,
        "title": title,
        "population": " and ".join(part.population.name for part in parts),
        "seeds": [min(seeds), max(seeds) + 1],
        "scans": len(seeds),
        "sites": len({part.site(seed) for part in parts for seed in part.seeds}),
    }


def shown_parts(found: Results) -> tuple[str, ...]:
    """Conditions of the held-out cohort with metrics of their own: all together, and each kind if there are two."""
    names = [condition["name"] for condition in found.about["conditions"]]
    return (COHORT, *(HELD_OUT_LABORATORIES if COHORT in names else ()))


def write_results(found: Results, folder: Path) -> None:
    """Write `RECORDS`, `METRICS`, `SUMMARY` and `PAGE` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORDS).write_text(_tsv(found.records), encoding="utf-8")
    (folder / METRICS).write_text(_tsv(found.metrics), encoding="utf-8")
    record = to_json(as_record(found), where=folder / SUMMARY, indent=1, ensure_ascii=False)
    (folder / SUMMARY).write_text(record + "\n", encoding="utf-8")
    (folder / PAGE).write_text(markdown(found), encoding="utf-8")


def keep_with_models(found: Results, methods: Sequence[Candidate]) -> list[Path]:
    """Write the metrics into the folders of all models that were evaluated, and write their cards anew.

    Raises
    ------
    InputError
        If a file of a model was changed since it was loaded.
    """
    from dlif_core.networks.bundle.model import add_evaluation

    folders = []
    for method in methods:
        if method.folder is not None:
            add_evaluation(method.folder, as_record(found), _tsv(found.records))
            folders.append(method.folder)
    return folders


def _tsv(table: pd.DataFrame) -> str:
    return str(table.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g", lineterminator="\n"))


def as_record(found: Results) -> dict[str, Any]:
    """Everything but the records of single scans as plain values for JSON; None for unknown values."""
    tables = {
        "figures": found.metrics,
        "comparisons": found.comparisons,
        "groups": found.groups,
        "not_made": unmade(found.records),
    }
    parts = {name: [_plain(row) for row in table.to_dict("records")] for name, table in tables.items()}
    return {"about": dict(found.about), **parts}


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(key): None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
    }


def markdown(found: Results) -> str:
    """The page: a table of metrics by method, comparisons, groups, and curves that were not made, with reasons."""
    titles = {condition["name"]: condition["title"] for condition in found.about["conditions"]}
    kinds = [
        [f"## Held-out cohort: {titles[name]}", "", *_by_method(found, (name,))] for name in shown_parts(found)[1:]
    ]
    parts = [
        ["# Evaluation", "", *_introduction(found)],
        ["## Held-out cohort", "", *_by_method(found, (COHORT,))],
        *kinds,
        ["## Other tracers", "", *_by_method(found, (TRACERS,))],
        ["## Other schedules and injections", "", *_by_method(found, ("truncated", "shifted"))],
        ["## Population of one blood curve", "", *_by_method(found, (HOME,))],
        ["## Scope check", "", *_scope(found)],
        ["## Whole-blood RMSE, paired", "", *_comparisons(found.comparisons)],
        ["## Groups of animals", "", *_groups(found)],
        ["## Not made", "", *_unmade(found.records)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _introduction(found: Results) -> Iterator[str]:
    rows = [
        [c["name"], c["title"], f"`{c['population']}`", str(c["scans"]), str(c["sites"])]
        for c in found.about["conditions"]
    ]
    yield from table_lines(["condition", "what", "population", "scans", "sites"], rows)
    yield ""
    yield (
        f"Simulated scans in the scanner's own voxels; dlif {found.about['version']}. In brackets 95 % bootstrap "
        f"intervals over whole laboratories ({found.about['resamples']} resamples). Parameters are compared with the "
        f"same fit with the true input function: Patlak Ki with t* = {found.about['t_star_min']:g} min, K1 by the "
        "irreversible two-tissue model."
    )
    for method in found.about["methods"]:
        if method["model"]:
            yield ""
            yield f"Model of `{method['name']}`: {method['model']['name']} ({method['model']['digest'][:12]})."


def _by_method(found: Results, conditions: Sequence[str]) -> list[str]:
    """A row for each metric, a column for each method; the first method is marked where it misses a requirement."""
    metrics = found.metrics[found.metrics["condition"].isin(conditions) & (found.metrics["figure"] != "flagged")]
    names = [method["name"] for method in found.about["methods"]]
    if metrics.empty:
        return ["These scans were not evaluated."]
    rows = []
    for _, rows_of in metrics.groupby("figure", sort=False):
        by_method = {str(row["method"]): row for row in rows_of.to_dict("records")}
        one = next(iter(by_method.values()))
        cells = [_cell(by_method.get(name), marked=name == names[0]) for name in names]
        rows.append([with_unit(str(one["title"]), one["unit"]), str(one["required"]), *cells])
    return table_lines(["metric", "required", *names], rows)


def with_unit(title: str, unit: str) -> str:
    """A metric's title with its unit, if it has one."""
    return f"{title} [{unit}]" if unit not in ("", "share") else title


def _cell(row: Mapping[Any, Any] | None, *, marked: bool) -> str:
    if row is None:
        return _ABSENT
    text = with_interval(row)
    return f"**{text}** ✗" if marked and row["reached"] is False else text


def with_interval(row: Mapping[Any, Any]) -> str:
    """Write a value with its interval in brackets."""
    return f"{number(row['value'])} ({number(row['low'])} to {number(row['high'])})"


def number(value: float | None) -> str:
    """Write a number with three decimals, from 10 on with one; a dash if it is unknown."""
    if value is None or not math.isfinite(value):
        return _ABSENT
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def p_value(value: float) -> str:
    """Write a probability, small ones in exponent form."""
    return _ABSENT if math.isnan(value) else f"{value:.1e}" if value < 0.001 else f"{value:.3f}"


def _scope(found: Results) -> list[str]:
    metrics = found.metrics
    rows = metrics[(metrics["condition"] == "faults") | (metrics["figure"] == "flagged")].to_dict("records")
    if not rows:
        return ["No method that was evaluated checks whether a scan is in its scope."]
    titles = {c["name"]: c["title"] for c in found.about["conditions"]} | {"faults": "sound and faulty scans"}
    cells = [
        [str(row["method"]), titles[row["condition"]], str(row["title"]), str(row["n"]), str(row["required"]),
         _cell(row, marked=True)]
        for row in rows
    ]  # fmt: skip
    return table_lines(["method", "scans", "metric", "n", "required", "value"], cells)


def _comparisons(comparisons: pd.DataFrame) -> list[str]:
    rows = [
        [
            f"{row['method']} − {row['other']}",
            str(row["n"]),
            str(row["sites"]),
            with_interval({"value": row["difference"], **row}),
            p_value(row["p_value"]),
        ]
        for row in comparisons.to_dict("records")
    ]
    return table_lines(
        ["methods", "scans", "sites", "median difference [SUV]", "p (Wilcoxon over sites, two-sided)"], rows
    )


def _groups(found: Results) -> list[str]:
    """Groups for the first method; those of the others are in the files."""
    own = found.groups[found.groups["method"] == found.about["methods"][0]["name"]].drop(columns="method")
    rows = [
        [str(row.pop("group")), str(row.pop("scans")), *(number(value) for value in row.values())]
        for row in own.to_dict("records")
    ]
    titles = {metric.name: with_unit(metric.title, metric.unit) for metric in COHORT_METRICS}
    return table_lines([titles.get(str(name), str(name)) for name in own.columns], rows)


def _unmade(records: pd.DataFrame) -> list[str]:
    missing = unmade(records)
    if missing.empty:
        return ["Every method made every curve, and every curve could be fitted with."]
    rows = [[str(value) for value in row.values()] for row in missing.to_dict("records")]
    return table_lines(["condition", "method", "what", "scans", "reason of the first"], rows)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(header), line(["---"] * len(header)), *(line(row) for row in rows)]
