"""The ``dlif`` command. Heavy libraries are imported where they are used, so that help comes at once."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from dlif_core.errors import DlifError, ExitCode
from flows import evaluate_cli, explain_cli, model_cli

if TYPE_CHECKING:
    from rich.console import Console

    from dlif_core.store import Store
    from dlif_core.study.config import StudyConfig
    from dlif_core.study.step import Plan

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success · 1 unexpected fault · 2 configuration or usage · 3 input data · 4 store · "
    "5 some scans did not succeed · 6 no scan succeeded. For research use only.",
)

StudyFile = Annotated[Path, typer.Argument(help="Study file.", metavar="STUDY.YAML")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


app.command()(evaluate_cli.evaluate)
app.command()(explain_cli.explain)
app.command()(model_cli.train)
app.add_typer(model_cli.model_app, name="model")


@app.callback()
def root() -> None:
    """Input functions, kinetic parameters and parametric maps from cohorts of dynamic PET scans."""


@app.command()
def init(
    study: StudyFile = Path("study.yaml"),
    data: Annotated[str, typer.Option(help="PET-BIDS folder or URL.")] = "bids",
    output: Annotated[str, typer.Option(help="Folder or URL for all results.")] = "results",
) -> None:
    """Write a study file to start from, every setting explained."""
    from dlif_core.study.template import study_template

    if study.exists():
        _fail(f"{study} exists already; it was not touched.", ExitCode.CONFIGURATION)
    study.write_text(study_template(study.stem, data, output), encoding="utf-8")
    typer.echo(f"Wrote {study}. Next: dlif plan {study}")


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="New PET-BIDS folder.")],
    mice: Annotated[int, typer.Option(min=1, help="Number of mice.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same cohort.")] = 0,
    voxel_size: Annotated[float, typer.Option(min=0.2, help="Edge length of a voxel [mm].")] = 1.0,
    irreversible: Annotated[bool, typer.Option("--irreversible", help="No k4: irreversible models are exact.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Simulate dynamic FDG scans of mice with arterial blood, and write the truth beside them."""
    from rich.progress import Progress

    from dlif_core.phantom import write_cohort

    with Progress() as progress:
        bar = progress.add_task("simulating mice", total=mice)
        write_cohort(
            folder,
            mice,
            seed=seed,
            voxel_size=voxel_size,
            irreversible=irreversible,
            device=device,
            progress=lambda: progress.advance(bar),
        )
    typer.echo(f"{mice} mice are in {folder}, the truth in {folder / 'derivatives' / 'phantom'}.")


@app.command()
def plan(study: StudyFile, as_json: AsJson = False) -> None:
    """Show what `dlif run` would do, and why: which setting or file changed."""
    from dlif_core.study.memory import largest_need
    from dlif_core.study.plan import as_record, make_plan, open_study_store

    config = _load(study)
    planned = make_plan(config, open_study_store(config))
    if as_json:
        typer.echo(json.dumps([as_record(step) for step in planned.steps], indent=1))
        return
    from flows.tables import plan_table

    _console().print(plan_table(planned))
    typer.echo(f"{len(planned.to_run)} of {len(planned.steps)} steps to run.")
    need = largest_need(config, planned)
    if need is not None:
        block = " × ".join(str(edge) for edge in need.block)
        typer.echo(f"A worker needs up to {need.bytes / 1e9:.1f} GB: {need.title}, blocks of {block} voxels.")


@app.command()
def run(
    study: StudyFile,
    cluster: Annotated[str, typer.Option(help="local, or the address of a Dask scheduler: tcp://host:8786.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core if left out.")] = None,
    shard: Annotated[str, typer.Option(help="Part i of n, as i/n from 1: without a Prefect server.")] = "",
) -> None:
    """Bring a study up to date: only what is missing or has changed is done."""
    from dlif_core.study.plan import make_plan, open_study_store

    config = _load(study)
    store = open_study_store(config)
    planned = make_plan(config, store)
    if not planned.to_run:
        typer.echo("Everything is up to date.")
        _finish(config, planned, store)
    if shard:
        _run_shard(config, shard, workers or 1)
    else:
        _quiet_prefect()
        from flows.cohort import cohort

        cohort(str(study.resolve()), cluster=cluster, workers=workers)
    _finish(config, make_plan(config, store), store)


@app.command()
def status(study: StudyFile, as_json: AsJson = False) -> None:
    """Show how every scan stands: success, excluded, failed, unavailable or incomplete, and why."""
    from dlif_core.study.status import study_status

    result = study_status(_load(study))
    if as_json:
        rows = [{"scan": s.scan, "status": str(s.status), "reasons": list(s.reasons)} for s in result.scans]
        typer.echo(json.dumps(rows, indent=1))
    else:
        from flows.tables import status_table

        _console().print(status_table(result))
    raise typer.Exit(result.exit_code)


@app.command()
def report(study: StudyFile) -> None:
    """List the reports of a study."""
    from dlif_core.study.plan import open_study_store
    from dlif_core.study.products import COHORT, REPORTS

    store = open_study_store(_load(study))
    for name in [COHORT, *sorted(store.products(REPORTS))]:
        if store.marker(name) is not None:
            typer.echo(f"{store.uri_of(name)}/report.html")


@app.command()
def models(
    name: Annotated[str, typer.Argument(help="A model; all if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the kinetic models: what each estimates, what it needs and which settings it takes."""
    from dlif_core.kinetics import MODELS

    if name and name not in MODELS:
        _fail(f"There is no model {name!r}; there are {', '.join(MODELS)}.", ExitCode.CONFIGURATION)
    from flows.tables import model_record, model_table, models_table

    if as_json:
        shown = [MODELS[name]] if name else list(MODELS.values())
        typer.echo(json.dumps([model_record(model) for model in shown], indent=1))
    else:
        _console().print(model_table(MODELS[name]) if name else models_table(MODELS.values()))


@app.command()
def doctor(
    study: Annotated[
        Path | None, typer.Argument(help="Also compare every product of this study with what was committed.")
    ] = None,
) -> None:
    """Check this installation (versions, cores, memory, GPU) and the stored results of a study."""
    from flows.tables import doctor_table

    _console().print(doctor_table())
    if study is not None:
        _verify_products(study)


def _verify_products(study: Path) -> None:
    from dlif_core.errors import ProductDamagedError
    from dlif_core.study.plan import open_study_store

    store = open_study_store(_load(study))
    products = store.products()
    damaged = 0
    for name in products:
        try:
            store.verify(name)
        except ProductDamagedError as fault:
            damaged += 1
            typer.secho(str(fault), fg="red", err=True)
    typer.echo(f"{len(products) - damaged} of {len(products)} products are as they were committed.")
    if damaged:
        raise typer.Exit(ExitCode.STORE)


def _run_shard(config: StudyConfig, shard: str, workers: int) -> None:
    from dlif_core.compute.cluster import open_pool
    from flows.serial import parse_shard, run_shard

    index, count = parse_shard(shard)
    with open_pool(workers) as executor:
        run_shard(config, executor, index, count)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _load(study: Path) -> StudyConfig:
    from dlif_core.study.config import load_study

    return load_study(study)


def _finish(config: StudyConfig, plan: Plan, store: Store) -> NoReturn:
    """Print how the study stands and leave with its exit code."""
    from dlif_core.study.products import COHORT
    from dlif_core.study.status import results, status_of
    from dlif_core.study.truth import compare_with_truth
    from flows.tables import status_table, truth_table

    console = _console()
    result = status_of(plan, store)
    console.print(status_table(result))
    truth = compare_with_truth(config, store, plan.files, results(plan, store))
    if truth is not None:
        console.print(truth_table(truth))
    if store.marker(COHORT) is not None:
        typer.echo(f"Report: {store.uri_of(COHORT)}/report.html")
    raise typer.Exit(result.exit_code)


def _quiet_prefect() -> None:
    """Settings of the embedded server, unless the user chose others: no analytics, warnings only in the terminal."""
    settings: dict[str, Any] = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def _fail(message: str, code: int) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(code)


def main() -> None:
    """Run the command; an error that dlif raised on purpose is shown as its message alone."""
    try:
        app()
    except DlifError as fault:
        typer.secho(f"Error: {fault}", fg="red", err=True)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    main()
