"""``dlif simulate``: a cohort of simulated mice whose true kinetics are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    folder: Annotated[Path, typer.Argument(help="New PET-BIDS folder.", metavar="FOLDER")],
    mice: Annotated[int, typer.Option(min=1, help="Number of mice, one scan each.", metavar="COUNT")] = 4,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Seed of the random numbers: the same seed gives the same cohort.", metavar="NUMBER"),
    ] = 0,
    voxel_size: Annotated[float, typer.Option(min=0.2, help="Edge length of a voxel [mm].", metavar="MM")] = 1.0,
    irreversible: Annotated[
        bool, typer.Option("--irreversible", help="Set k4 = 0, so that irreversible models describe the data exactly.")
    ] = False,
    device: Annotated[str, typer.Option(help="Device that computes: cpu or cuda.", metavar="DEVICE")] = "cpu",
) -> None:
    """Simulate dynamic FDG scans of mice with arterial blood, and write the true values beside them."""
    from dlif_core.phantom import write_cohort
    from flows.progress import progress_bars

    title = "simulating mice"
    with progress_bars() as bars:
        bars.update(title, 0, mice)
        write_cohort(
            folder,
            mice,
            seed=seed,
            voxel_size=voxel_size,
            irreversible=irreversible,
            device=device,
            progress=lambda: bars.advance(title),
        )
    made = "1 mouse is" if mice == 1 else f"{mice} mice are"
    typer.echo(f"{made} in {folder}, the truth in {folder / 'derivatives' / 'phantom'}.")
