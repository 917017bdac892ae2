"""``dlif deploy slurm``: a study as a job array, whose tasks reach no server and draw scans from the store."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import StudyFile

_JOB = "What each task asks for"


def deploy_slurm(
    study: StudyFile,
    array: Annotated[
        bool, typer.Option("--array", help="As a job array; without it, `dlif run --cluster` starts jobs by itself.")
    ] = False,
    cluster: Annotated[
        str,
        typer.Option(
            help="Profile of a Slurm cluster, as for `dlif run`, that says what each task asks for; the options below "
            "count more. If left out, as the study says.",
            metavar="CLUSTER",
        ),
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder for scripts and logs; if left out, beside the study file.", metavar="FOLDER"),
    ] = None,
    submit: Annotated[bool, typer.Option("--submit", help="Submit it, too.")] = False,
    tasks: Annotated[
        int | None,
        typer.Option(min=1, help="Most tasks at once; if left out, 10.", metavar="COUNT", rich_help_panel=_JOB),
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option(
            min=1, help="Cores, for the maps of one scan; if left out, 1.", metavar="COUNT", rich_help_panel=_JOB
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Memory, such as 4G; if left out, what the study is projected to need.",
            metavar="MEMORY",
            rich_help_panel=_JOB,
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="Longest time, as for sbatch: 4:00:00.", metavar="TIME", rich_help_panel=_JOB),
    ] = None,
    partition: Annotated[str | None, typer.Option(help="As for sbatch.", metavar="NAME", rich_help_panel=_JOB)] = None,
    account: Annotated[str | None, typer.Option(help="As for sbatch.", metavar="NAME", rich_help_panel=_JOB)] = None,
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
    from dlif_core.study.config import load_study
    from flows.slurm_array import shape_of_cluster, submit_array, write_array

    if not array:
        raise ConfigurationError(
            "say how the study is to run.",
            where="dlif deploy slurm",
            hint="Give --array. A driver that starts Slurm jobs by itself is `dlif run --cluster`.",
        )
    shape = shape_of_cluster(cluster or load_study(study).cluster).changed(
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
    if not submit:
        typer.echo(f"Submit with: sh {shlex.quote(str(written.folder / 'submit.sh'))}")
        return
    numbers = submit_array(written.folder)
    typer.echo(f"Submitted: array {numbers[0]}, second round {numbers[1]}, cohort {numbers[2]}")
