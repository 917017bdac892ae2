"""Slurm, and the workers of a cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import TimeoutError as TooLate
from importlib.metadata import version

from dlif_core.doctor.probe import Diagnosis, Surroundings, doubtful, faulty, sound

_PROGRAMS = ("sbatch", "squeue", "sinfo", "scontrol", "scancel")
#: How long to wait for Slurm's answer, and for a worker [s]; a job may wait in the queue.
_ANSWER, _WORKER = 20, 120
#: Packages that must be the same on workers, since work is pickled.
_SAME = ("dlif", "distributed", "numpy", "zarr", "torch")
#: States of partitions and nodes in which jobs start, sooner or later.
_USABLE = ("up",)


def look_at_slurm(surroundings: Surroundings) -> Iterator[Diagnosis]:
    """Whether Slurm is here, and answers; that it doesn't is a fault only if it is to be used."""
    failing = faulty if _uses_slurm(surroundings) else doubtful
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if len(missing) == len(_PROGRAMS):
        needed = failing is faulty
        remedy = "Run it where jobs are submitted, or load the module of Slurm."
        yield faulty("slurm", "not on this machine", remedy) if needed else sound("slurm", "not on this machine")
        return
    if missing:
        yield failing("slurm", f"not found: {', '.join(missing)}", "Load the module of Slurm, or add it to PATH.")
        return
    ping = _run("scontrol", "ping")
    if ping.returncode or " is UP" not in ping.stdout:
        yield failing("slurm", f"its controller does not answer: {_said(ping)}", "Ask who runs the cluster.")
        return
    partitions = _run("sinfo", "--noheader", "--format=%P %a %D %t")
    states = [line.split() for line in partitions.stdout.splitlines() if len(line.split()) == 4]
    usable = [f"{name} ({nodes} {state})" for name, up, nodes, state in states if up in _USABLE and _works(state)]
    if not usable:
        yield doubtful("slurm", f"no partition can run jobs: {_said(partitions)}", "Ask who runs the cluster.")
        return
    yield sound("slurm", f"answers; partitions: {', '.join(usable)}")


def _uses_slurm(surroundings: Surroundings) -> bool:
    from dlif_core.compute.profiles import chosen_cluster

    wanted = surroundings.cluster or (surroundings.study.cluster if surroundings.study else "")
    return bool(wanted) and chosen_cluster(wanted).kind.name == "slurm"


def _works(state: str) -> bool:
    return not state.startswith(("down", "drain", "drng", "fail", "unk"))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {_ANSWER} s")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else "it says nothing"


def look_at_workers(surroundings: Surroundings) -> Iterator[Diagnosis]:
    """Start the cluster, or reach it, and ask a worker for its versions."""
    if not surroundings.cluster:
        return
    from dlif_core.compute.cluster import open_client
    from dlif_core.compute.profiles import chosen_cluster

    workers = 1 if "workers" in chosen_cluster(surroundings.cluster).kind.options.model_fields else None
    with open_client(surroundings.cluster, workers) as client:
        try:
            theirs = client.executor().submit(versions_here).result(_WORKER)
        except TooLate:
            yield doubtful(
                "workers",
                f"none of {surroundings.cluster} came within {_WORKER} s",
                "Look into the queue (`squeue --me`) and the logs of the jobs; they may only have to wait.",
            )
            return
    ours = versions_here()
    other = [f"{name} {theirs[name]} there, {ours[name]} here" for name in ours if theirs.get(name) != ours[name]]
    if other:
        yield faulty("workers", "; ".join(other), "Give the workers the same environment, or the same image.")
        return
    yield sound("workers", f"one of {surroundings.cluster} answered, with the same versions")


def versions_here() -> dict[str, str]:
    """Versions of the packages that must be the same everywhere, in this process."""
    return {name: version(name) for name in _SAME}
