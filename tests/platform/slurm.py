"""A real Slurm of one node on 127.0.0.1, in a folder of its own; several can run on one machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_ports

#: What the node has, whatever the machine has: Slurm only counts them, and does not enforce memory here.
CPUS, MEMORY_MB, GPUS = 8, 16000, ("/dev/null", "/dev/zero")
_SEARCH_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

_CONFIGURATION = """
ClusterName=dlif{controller_port}
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
MinJobAge=600
KillWait=2
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=work Nodes=ALL Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=200
"""


@dataclass(frozen=True)
class Slurm:
    """A running Slurm.

    Attributes
    ----------
    folder
        Its configuration, state and logs.
    node
        Name of its only node.
    """

    folder: Path
    node: str

    @property
    def configuration(self) -> Path:
        """The file that SLURM_CONF names."""
        return self.folder / "slurm.conf"

    def run(self, *command: str) -> str:
        """What a Slurm command prints, for example ``squeue``."""
        environment = os.environ | {"SLURM_CONF": str(self.configuration), "PATH": _SEARCH_PATH}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def jobs(self, *states: str) -> dict[str, str]:
        """State of every job that Slurm still knows, by id, for example RUNNING; of some states only, if given."""
        lines = self.run("squeue", "--noheader", "--states=all", "--format=%A %T").splitlines()
        found = dict(line.split() for line in lines)
        return {job: state for job, state in found.items() if not states or state in states}

    def job(self, number: str) -> dict[str, str]:
        """What Slurm knows of a job, for example JobState and ExitCode."""
        words = self.run("scontrol", "show", "job", number, "--oneliner").split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def cancel_all(self) -> None:
        """Cancel every job and wait until none is left."""
        self.run("scancel", f"--user={getpass.getuser()}")
        _wait_until(lambda: not self.jobs("PENDING", "RUNNING", "COMPLETING"), 30, "jobs end")


@pytest.fixture(scope="session")
def slurm_service() -> Iterator[Slurm]:
    """A Slurm for all tests of a run; its jobs are not yet told apart by test, see `slurm`."""
    from tests.platform.conftest import require_programs

    require_programs("slurmctld", "slurmd", "munged", "sbatch")
    folder = Path(tempfile.mkdtemp(prefix="dlif-slurm-"))  # a short name: sockets have at most 107 characters
    try:
        with contextlib.ExitStack() as stack:
            yield _started(folder, stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slurm(slurm_service: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """A Slurm without jobs whose commands this process finds: SLURM_CONF is set."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_service.configuration))
    yield slurm_service
    slurm_service.cancel_all()


def _started(folder: Path, stack: contextlib.ExitStack) -> Slurm:
    """Start the three services; the stack stops them."""
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    slurm = Slurm(folder, socket.gethostname().partition(".")[0])
    _write_configuration(slurm)
    stack.enter_context(_munge(folder))
    _wait_until((folder / "munge.socket").exists, 20, "munged makes its socket")
    stack.enter_context(_service(folder, "slurmctld", "-D", "-i", "-f", str(slurm.configuration)))
    stack.enter_context(_service(folder, "slurmd", "-D", "-f", str(slurm.configuration), "-N", slurm.node))
    _wait_until(lambda: _is_up(slurm), 60, "the node is idle")
    stack.callback(slurm.cancel_all)
    return slurm


def _write_configuration(slurm: Slurm) -> None:
    controller_port, node_port = free_ports(2)
    text = _CONFIGURATION.format(
        controller_port=controller_port,
        node_port=node_port,
        node=slurm.node,
        user=getpass.getuser(),
        folder=slurm.folder,
        cpus=CPUS,
        memory=MEMORY_MB,
        gpus=len(GPUS),
    )
    slurm.configuration.write_text(text)
    lines = [f"NodeName={slurm.node} Name=gpu File={device}\n" for device in GPUS]
    (slurm.folder / "gres.conf").write_text("".join(lines))


def _munge(folder: Path) -> contextlib.AbstractContextManager[None]:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    files = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munged.pid"}
    files |= {"log-file": folder / "munged.log", "seed-file": folder / "munge.seed"}
    return _service(folder, "munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in files.items()))


@contextlib.contextmanager
def _service(folder: Path, program: str, *arguments: str) -> Iterator[None]:
    """A program in the foreground, which is stopped at the end by its own pid."""
    found = shutil.which(program, path=_SEARCH_PATH)
    assert found is not None
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _SEARCH_PATH}
    with (folder / f"{program}.out").open("wb") as output:
        process = subprocess.Popen(
            [found, *arguments], env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_up(slurm: Slurm) -> bool:
    try:
        return slurm.run("sinfo", "--noheader", "--format=%T").strip() in ("idle", "mixed", "allocated")
    except RuntimeError:
        return False


def _wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"Slurm: {what}: not within {seconds:g} s")
        time.sleep(0.1)
