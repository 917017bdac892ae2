"""``dlif simulate``: a cohort of simulated mice or humans whose true kinetics are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# usual edge of a voxel [mm]
_VOXELS = {"mouse": 1.0, "human": 4.0}


def simulate(
    folder: Annotated[Path, typer.Argument(help="New PET-BIDS folder.", metavar="FOLDER")],
    mice: Annotated[int, typer.Option(min=1, help="Number of mice or humans, one scan each.", metavar="COUNT")] = 4,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Seed of the random numbers: the same seed gives the same cohort.", metavar="NUMBER"),
    ] = 0,
    species: Annotated[str, typer.Option(help="Species: mouse or human.", metavar="SPECIES")] = "mouse",
    tracer: Annotated[
        str, typer.Option(help="Tracer: FDG, raclopride, water, FLT, FDOPA or PSMA.", metavar="TRACER")
    ] = "FDG",
    voxel_size: Annotated[
        float | None,
        typer.Option(
            min=0.2,
            help="Edge length of a voxel [mm]; if left out, 1 of a mouse and 4 of a human.",
            metavar="MM",
            show_default=False,
        ),
    ] = None,
    irreversible: Annotated[
        bool, typer.Option("--irreversible", help="Set k4 = 0, so that irreversible models describe the data exactly.")
    ] = False,
    device: Annotated[str, typer.Option(help="Device that computes: cpu or cuda.", metavar="DEVICE")] = "cpu",
) -> None:
    """Simulate dynamic scans of mice or humans with arterial blood, and write the true values beside them."""
    from dlif_core.networks.prediction.subject import subject_of
    from dlif_core.phantom import write_cohort
    from dlif_core.phantom.population import usual_population
    from flows.progress import progress_bars

    population = usual_population(species, tracer)
    subject = subject_of(species)
    title = f"simulating {subject.plural}"
    with progress_bars() as bars:
        bars.update(title, 0, mice)
        write_cohort(
            folder,
            mice,
            seed=seed,
            voxel_size=voxel_size or _VOXELS[species],
            irreversible=irreversible,
            population=population,
            device=device,
            progress=lambda: bars.advance(title),
        )
    made = f"1 {species} is" if mice == 1 else f"{mice} {subject.plural} are"
    typer.echo(f"{made} in {folder}, the truth in {folder / 'derivatives' / 'phantom'}.")
