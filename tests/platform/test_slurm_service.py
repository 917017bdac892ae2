"""The Slurm of the tests is a real one."""

import time
from pathlib import Path

from tests.platform.slurm import GPUS, Slurm


def test_a_job_runs_and_its_exit_code_is_known(slurm: Slurm, tmp_path: Path) -> None:
    output = tmp_path / "out"
    script = f"touch {output}; exit 3"
    number = slurm.run(
        "sbatch", "--parsable", f"--gres=gpu:{len(GPUS)}", f"--wrap={script}", f"--chdir={tmp_path}"
    ).strip()
    while slurm.jobs("PENDING", "RUNNING", "COMPLETING"):
        time.sleep(0.1)
    assert output.exists()
    job = slurm.job(number)
    assert (job["JobState"], job["ExitCode"]) == ("FAILED", "3:0")
