"""A study as a Slurm job array: scripts that an administrator can read and edit, and their submission."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slugify import slugify

from dlif_core.compute import sbatch
from dlif_core.compute.memory import WORKER_BYTES
from dlif_core.compute.profiles import chosen_cluster
from dlif_core.compute.slurm_profile import SlurmProfile
from dlif_core.errors import ConfigurationError, DlifError
from dlif_core.shown import counted
from dlif_core.storage import is_url, joined
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.memory import largest_need
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.step import Plan

_TEMPLATES = Path(__file__).parent / "slurm_templates"
_SCRIPTS = ("array.sbatch", "cohort.sbatch", "submit.sh")

#: Memory of a worker of which no step is projected to need more [bytes].
_LEAST_BYTES = 1_500_000_000

#: Variables that tell where things are, and are taken into the scripts.
_KEPT = ("PYTHONPATH", "FSSPEC_CONFIG_DIR")


@dataclass(frozen=True)
class TaskShape:
    """What a task of the array asks Slurm for.

    Attributes
    ----------
    tasks
        Most tasks at once.
    cpus
        Cores of a task; one worker process runs on each.
    memory, time, partition, account
        Values of the options of ``sbatch``; left out, the projected memory and what Slurm has by default.
    directives
        Further options of ``sbatch``.
    before
        Lines of shell that run before the work.
    """

    tasks: int = 10
    cpus: int = 1
    memory: str | None = None
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    directives: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    def changed(self, **given: Any) -> TaskShape:
        """The same with what is given, as far as it is."""
        return replace(self, **{name: value for name, value in given.items() if value not in (None, ())})

    def options(self, needed: int) -> Iterator[str]:
        """Options of ``sbatch``, given the projected memory [bytes]."""
        yield f"--cpus-per-task={self.cpus}"
        yield f"--mem={self.memory or f'{-(-needed // 1_000_000)}M'}"
        for name in ("time", "partition", "account"):
            if getattr(self, name):
                yield f"--{name}={getattr(self, name)}"
        yield from self.directives


def shape_of_cluster(cluster: str) -> TaskShape:
    """What tasks ask for by the profile of a Slurm cluster; of another kind of cluster, what is usual.

    Parameters
    ----------
    cluster
        Name or file of a profile.
    """
    chosen = chosen_cluster(cluster)
    if not isinstance(chosen.profile, SlurmProfile):
        return TaskShape()
    jobs = chosen.profile.cpu
    return TaskShape(
        tasks=jobs.jobs,
        cpus=jobs.cores,
        memory=f"{-(-int(jobs.memory) // 1_000_000)}M",
        time=str(max(1, round(jobs.walltime / 60))),
        partition=jobs.partition,
        account=jobs.account,
        directives=jobs.directives,
        before=(*jobs.before, *([f'export TMPDIR="{jobs.scratch}"'] if jobs.scratch else [])),
    )


@dataclass(frozen=True)
class Written:
    """Scripts that were written, and what they are for, in words."""

    folder: Path
    said: str


def write_array(study: str | Path, shape: TaskShape, folder: Path | None = None) -> Written:
    """Write the scripts of a study.

    Parameters
    ----------
    study
        Study file, a path or URL. All nodes must see it, its data and its output.
    shape
        What each task asks for.
    folder
        Where the scripts and logs go; by default beside the study file, of a URL below the working directory.

    Raises
    ------
    ConfigurationError
        If an option can't stand in a script.
    """
    import jinja2

    _require_sound(shape)
    _require_one_line(study, folder or "")
    config = load_study(study)
    plan = make_plan(config, open_study_store(config))
    scans = len({step.scan for step in plan.to_run if step.scan})
    place, _, name = joined("", str(study)).rpartition("/")
    work = Path.cwd() if is_url(place) else Path(place)
    folder = (folder or work / f"{Path(name).stem}-slurm").resolve()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    needed = _needed_memory(config, plan, shape.cpus)
    tasks = max(1, min(shape.tasks, scans))
    content = {
        "name": slugify(f"dlif-{config.name}", max_length=60),
        "tasks": tasks,
        "directives": list(shape.options(needed)),
        "before": shape.before,
        "environment": list(_environment()),
        "folder": shlex.quote(str(folder)),
        "logs": shlex.quote(str(folder / "logs").replace("%", "%%")),
        "work": shlex.quote(str(work)),
        "study": shlex.quote(str(study) if is_url(place) else f"./{name}"),
        "dlif": _command(),
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    for script in _SCRIPTS:
        (folder / script).write_text(environment.get_template(f"{script}.j2").render(content))
    (folder / "submit.sh").chmod(0o755)
    said = f"{counted(tasks, 'task')} for {counted(scans, 'scan')}, {needed / 1e9:.1f} GB of memory projected for each."
    return Written(folder, said)


def submit_array(folder: Path) -> tuple[str, ...]:
    """Submit scripts that were written.

    Returns
    -------
    Job numbers of the array, its second round and the cohort.

    Raises
    ------
    ConfigurationError
        If there is no Slurm here.
    DlifError
        If Slurm refuses.
    """
    if shutil.which("sbatch") is None:
        raise ConfigurationError(
            "there is no Slurm on this machine.",
            where="sbatch",
            hint=f"Run {shlex.quote(str(folder / 'submit.sh'))} where there is.",
        )
    done = subprocess.run(["sh", str(folder / "submit.sh")], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise DlifError(
            f"Slurm refused: {done.stderr.strip()}",
            where=folder / "array.sbatch",
            hint="Correct the options, or edit the script and run submit.sh.",
        )
    return tuple(done.stdout.split())


def _needed_memory(config: StudyConfig, plan: Plan, cpus: int) -> int:
    """Memory of a task [bytes]: its own process, and its workers."""
    need = largest_need(config, plan)
    return WORKER_BYTES + cpus * max(_LEAST_BYTES, need.bytes if need else 0)


def _environment() -> Iterator[str]:
    """Settings of the scripts: one thread a worker, and where the program and its credentials are found."""
    yield "OMP_NUM_THREADS=1"
    for name in _KEPT:
        if name in os.environ:  # the scripts run in another folder
            places = (os.path.abspath(place) for place in os.environ[name].split(os.pathsep))
            yield f"{name}={shlex.quote(os.pathsep.join(places))}"


def _command() -> str:
    """How this installation's ``dlif`` is called on a node."""
    return f"{shlex.quote(sys.executable)} -m flows.cli"


def _require_one_line(*paths: str | Path) -> None:
    """Refuse a path that would be more than one line of a script."""
    for path in (joined("", str(one)) for one in paths):
        if not sbatch.is_line(path):
            raise ConfigurationError(
                f"{path!r} can't stand in a script.", where="dlif deploy slurm", hint="Rename the folder or the file."
            )


def _require_sound(shape: TaskShape) -> None:
    """Refuse what Slurm would refuse, or take for something else."""
    checks = {
        "memory": sbatch.memory,
        "time": sbatch.time_limit,
        "partition": sbatch.name,
        "account": sbatch.name,
        "directive": sbatch.directive,
    }
    given = [(name, getattr(shape, name)) for name in ("memory", "time", "partition", "account")]
    for name, value in [*given, *(("directive", value) for value in shape.directives)]:
        try:
            if value is not None:
                checks[name](value)
        except ValueError as fault:
            raise ConfigurationError(f"{fault}.", where=f"--{name}") from fault
