"""``dlif deploy``: have a study run somewhere else. A new target is a module with a function and a line here."""

from __future__ import annotations

import typer

from flows.cli.deploy import prefect, slurm

deploy = typer.Typer(name="deploy", help="Have a study run on a schedule or elsewhere.", no_args_is_help=True)
deploy.command("prefect")(prefect.deploy_prefect)
deploy.command("slurm")(slurm.deploy_slurm)
