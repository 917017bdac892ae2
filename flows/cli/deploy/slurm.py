"""``dlif deploy slurm``: a study as a job array, whose tasks reach no server and draw scans from the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import StudyFile

if TYPE_CHECKING:
    pass

_JOB = "What each task asks for"


def deploy_slurm(
    study: StudyFile,
    array: Annotated[
        bool, typer.Option("--array", help="As a job array; without it, `dlif run --cluster` starts jobs by itself.")
    ] = False,
    tasks: Annotated[int, typer.Option(min=1, help="Most tasks at once.", metavar="COUNT")] = 10,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder for scripts and logs; left out, beside the study file.", metavar="FOLDER"),
    ] = None,
    submit: Annotated[bool, typer.Option("--submit", help="Submit it, too.")] = False,
    cpus: Annotated[
        int, typer.Option(min=1, help="Cores, for the maps of one scan.", metavar="COUNT", rich_help_panel=_JOB)
    ] = 1,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Memory, such as 4G; left out, what the study is projected to need.",
            metavar="MEMORY",
            rich_help_panel=_JOB,
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="Longest time, as for sbatch: 4:00:00.", metavar="TIME", rich_help_panel=_JOB),
    ] = None,
    partition: Annotated[str | None, typer.Option(metavar="NAME", rich_help_panel=_JOB)] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", rich_help_panel=_JOB)] = None,
    directive: Annotated[
        list[str] | None,
        typer.Option(
            help="Further option of sbatch, such as --constraint=avx2; may be given again.",
            metavar="OPTION",
            rich_help_panel=_JOB,
        ),
    ] = None,
    before: Annotated[
        list[str] | None,
        typer.Option(
            help="Line of shell before the work, such as 'module load python'; may be given again.",
            metavar="LINE",
            rich_help_panel=_JOB,
        ),
    ] = None,
) -> None:
    """Write the scripts of a job array, to be read, edited and submitted. It can be repeated."""
    from dlif_core.errors import ConfigurationError
    from flows.slurm_array import TaskShape, submit_array, write_array

    if not array:
        raise ConfigurationError(
            "say how the study is to run.",
            where="dlif deploy slurm",
            hint="Give --array. A driver that starts Slurm jobs by itself is `dlif run --cluster`.",
        )
    shape = TaskShape(
        tasks=tasks,
        cpus=cpus,
        memory=memory,
        time=time,
        partition=partition,
        account=account,
        directives=tuple(directive or ()),
        before=tuple(before or ()),
    )
    written = write_array(study, shape, folder)
    typer.echo(f"Written: {written.folder}/array.sbatch, cohort.sbatch, submit.sh; {written.said}")
    if submit:
        numbers = submit_array(written.folder)
        typer.echo(f"Submitted: array {numbers[0]}, second round {numbers[1]}, cohort {numbers[2]}")
    else:
        typer.echo(f"Submit with: sh {written.folder}/submit.sh")
