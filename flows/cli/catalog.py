"""``dlif catalog``: a table of the scans of many studies: built, shown, queried and divided for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import AsJson
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

catalog = typer.Typer(
    name="catalog",
    no_args_is_help=True,
    help="A table of the scans of many studies and sites: build, show, query, split, release.",
)

CatalogFile = Annotated[str, typer.Argument(help="Catalog that `dlif catalog build` wrote.", metavar="CATALOG")]
Where = Annotated[
    str,
    typer.Option(
        help="Use these scans alone: a condition such as \"species == 'mouse' and arterial_samples >= 10\".",
        metavar="CONDITION",
    ),
]

#: Columns that a query shows if none are named.
_SHOWN = ("site", "scan", "species", "tracer", "arterial_samples", "input_functions")
_FEW = 200


@catalog.command()
def build(
    stores: Annotated[
        list[str],
        typer.Argument(
            help="Output folders of studies, or study files; paths or URLs. SITE=STORE names the site, which is the "
            "study's name otherwise.",
            metavar="[SITE=]STORE…",
        ),
    ],
    to: Annotated[str, typer.Option(help="Parquet file to write; a path or URL.", metavar="CATALOG.PARQUET")],
) -> None:
    """Write a catalog: one row a scan, from what is committed in the stores. Nothing is computed or changed there."""
    from dlif_core.catalog.build import CatalogPlace
    from dlif_core.catalog.build import build as build_catalog
    from flows.progress import progress_bars

    with progress_bars() as bars:
        counts = build_catalog(
            [CatalogPlace.parsed(store) for store in stores], to, lambda done: bars.update("scans", done, done)
        )
    from dlif_core.shown import counted

    listed = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    typer.echo(f"{counted(counts.total(), 'scan')} ({listed}): {to}" if counts else f"0 scans: {to}")


@catalog.command()
def columns(as_json: AsJson = False) -> None:
    """List the columns of a catalog with units and meanings."""
    from dataclasses import asdict

    from dlif_core.catalog.columns import COLUMNS

    if as_json:
        print_json([asdict(column) for column in COLUMNS])
        return
    rows = [(one.name, one.kind, one.unit, one.meaning) for one in COLUMNS]
    _print_table(("column", "holds", "unit", "meaning"), rows)


@catalog.command()
def show(file: CatalogFile, where: Where = "", as_json: AsJson = False) -> None:
    """Show how many scans of what kind each study has."""
    from dlif_core.catalog.overview import OVERVIEW, overview

    found = overview(file, where)
    if as_json:
        print_json(found)
    else:
        _print_table(OVERVIEW, [[_cell(row[name]) for name in OVERVIEW] for row in found])


@catalog.command()
def query(
    file: CatalogFile,
    condition: Annotated[
        str,
        typer.Argument(help="Which scans, such as \"'arterial' in input_functions and scope == 'in scope'\"."),
    ] = "",
    columns: Annotated[
        str, typer.Option(help="Columns to show, with commas between them.", metavar="COLUMN,…")
    ] = ",".join(_SHOWN),
    as_json: AsJson = False,
) -> None:
    """List the scans that a condition holds for; docs/catalog.md says how to write one."""
    from dlif_core.catalog.filters import CatalogFilter, read_filtered

    names = [name.strip() for name in columns.split(",")]
    found = read_filtered(file, CatalogFilter(condition), names)
    if as_json:
        print_json(found.to_pylist())
        return
    rows = [[_cell(row[name]) for name in names] for row in found.slice(0, _FEW).to_pylist()]
    left_out = found.num_rows - len(rows)
    _print_table(names, rows, f"Left out: {left_out} more; --json lists all." if left_out else "")


@catalog.command()
def split(
    file: CatalogFile,
    to: Annotated[str, typer.Option(help="JSON file to write.", metavar="SPLITS.JSON")],
    where: Where = "",
    seed: Annotated[int, typer.Option(help="Another seed gives another division.", metavar="NUMBER")] = 0,
    shares: Annotated[
        str, typer.Option(help="Part of the animals for each use; the parts add up to 1.", metavar="USE=SHARE,…")
    ] = "training=0.6,validation=0.1,calibration=0.2,test=0.1",
    hold_out: Annotated[
        list[str] | None, typer.Option(help="Keep all animals of this site apart; may be repeated.", metavar="SITE")
    ] = None,
) -> None:
    """Divide the animals of scans that succeeded, all scans of an animal together.

    The use of an animal does not change when scans are added. Shares are met on average, not exactly.
    """
    from dlif_core.catalog.splits import CatalogSplit, parsed_shares, split_catalog

    divided = CatalogSplit(seed, parsed_shares(shares), tuple(hold_out or ()))
    counts = split_catalog(file, divided, where, to)
    _print_table(("use", "animals", "scans"), [(use, str(one[0]), str(one[1])) for use, one in counts.items()])
    typer.echo(f"Splits: {to}")


@catalog.command()
def release(
    file: CatalogFile,
    to: Annotated[str, typer.Option(help="New folder of the release.", metavar="FOLDER")],
    key: Annotated[
        str,
        typer.Option(
            help="File with old and new names, outside of the release; names in it are used again. Keep it secret.",
            metavar="KEY.JSON",
        ),
    ],
    where: Where = "",
) -> None:
    """Write curves, blood and input functions of scans as PET-BIDS, under random names and without dates.

    Images are left out. Look over the names of tracers and regions that README.md there lists before you pass it on.
    """
    from dlif_core.catalog.release import release_at
    from dlif_core.shown import counted
    from flows.progress import progress_bars

    with progress_bars() as bars:
        scans = release_at(to, key).write(file, where, lambda done, total: bars.update("scans", done, total))
    typer.echo(f"{counted(scans, 'scan')}: {to}\nOld and new names: {key}")


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    from rich.table import Column, Table
    from rich.text import Text

    titles = [heading.replace("_", " ") for heading in headings]
    table = Table(*(Column(title, overflow="fold") for title in titles), caption=caption or None)
    for row in rows:
        table.add_row(*map(Text, row))
    print_rich(table)


def _cell(value: object) -> str:
    """A value of a catalog in a table for people."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_item, value))
    return str(value)


def _item(value: Mapping[str, str] | str) -> str:
    return value if isinstance(value, str) else f"{value['name']} {value['status']}"
