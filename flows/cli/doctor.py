"""``dlif doctor``: whether dlif can work here, and what to mend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import STUDY_METAVAR, AsJson
from flows.cli.output import print_json

if TYPE_CHECKING:
    from dlif_core.doctor.probe import Diagnosis, Probe, Surroundings

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "fault": ("✗", "red")}


def doctor(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Study file: also its data, its storage, its model, and every stored result.",
            metavar=STUDY_METAVAR,
            show_default=False,
        ),
    ] = None,
    cluster: Annotated[
        str,
        typer.Option(
            help="Also ask a worker of this cluster: a name, a file or an address, as for `dlif run`.",
            metavar="CLUSTER",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check installation, machine, server, storage, Slurm, workers, model and results, and say what to mend."""
    from dlif_core.doctor.probe import Health, Surroundings
    from dlif_core.study.config import load_study
    from flows.progress import progress_bars

    with progress_bars() as bars:
        surroundings = Surroundings(
            load_study(study) if study else None, cluster, lambda done, total: bars.update("results", done, total)
        )
        found = []
        for probe, diagnosis in _diagnoses(surroundings):
            found.append((probe, diagnosis))
            if not as_json:
                _tell(diagnosis)
    faults = [probe for probe, diagnosis in found if diagnosis.health is Health.FAULT]
    if as_json:
        records = [{"probe": probe.name, **_record(diagnosis)} for probe, diagnosis in found]
        print_json({"sound": not faults, "found": records})
    if faults:
        raise typer.Exit(faults[0].exit_code)


def _diagnoses(surroundings: Surroundings) -> Iterator[tuple[Probe, Diagnosis]]:
    from dlif_core.doctor.registry import LAST_PROBES, PROBES
    from flows import doctor as server

    for probe in (*PROBES, *server.PROBES, *LAST_PROBES):
        for diagnosis in probe.diagnoses(surroundings):
            yield probe, diagnosis


def _tell(diagnosis: Diagnosis) -> None:
    """A line for what is sound; what to do about the rest in a line below."""
    mark, colour = _MARKS[diagnosis.health]
    typer.secho(f"{mark} ", fg=colour, nl=False)
    typer.echo(f"{diagnosis.subject:16} {diagnosis.found}")
    if diagnosis.remedy:
        typer.echo(f"{'':19}{diagnosis.remedy}")


def _record(diagnosis: Diagnosis) -> dict[str, str]:
    from dataclasses import asdict

    return asdict(diagnosis)
