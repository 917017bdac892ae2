"""The README's first steps, word by word in an empty folder: what is written there works as it is written.

Only the line that installs dlif is replaced: by a virtual environment that finds the packages of the present one, with
the commands that the project declares.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ci, pytest.mark.slow, pytest.mark.service, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
#: A command as pip writes it.
SCRIPT = """\
#!{python}
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""
INSTALL = "python3 -m venv .venv && .venv/bin/pip install"


def first_steps() -> str:
    """The section of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.search(r"^## First steps\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert match
    return match[1]


def blocks(language: str) -> list[str]:
    """Code blocks of a language in the section."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", first_steps(), re.DOTALL | re.MULTILINE)
    return [content for name, content in found if name == language]


@dataclass(frozen=True)
class FirstSteps:
    """The folder in which the commands were run, and what they printed on standard output."""

    folder: Path
    output: str

    def run(self, *command: str) -> str:
        """Output of one command more, by a program of the virtual environment."""
        program = str(self.folder / ".venv" / "bin" / command[0])
        done = subprocess.run(
            [program, *command[1:]], cwd=self.folder, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> FirstSteps:
    folder = tmp_path_factory.mktemp("first-steps")
    install, *commands = blocks("sh")[0].splitlines()
    assert install.startswith(INSTALL)
    make_environment(folder / ".venv")
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return FirstSteps(folder, done.stdout)


def make_environment(place: Path) -> None:
    """A virtual environment as an installation leaves it, which takes the packages from where they are now."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    library = next((place / "lib").glob("python3*")) / "site-packages"
    (library / "present.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    for name, target in scripts.items():
        module, function = target.split(":")
        script = place / "bin" / name
        script.write_text(SCRIPT.format(python=place / "bin" / "python", module=module, function=function))
        script.chmod(0o755)


def environment() -> dict[str, str]:
    """A user's environment: no programs of the present virtual environment, and a terminal of 120 columns."""
    own = str(Path(sys.executable).parent)
    paths = [path for path in os.environ["PATH"].split(os.pathsep) if path != own]
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {"PATH": os.pathsep.join(paths), "COLUMNS": "120"}


def test_every_command_succeeds_and_tells_what_it_did(steps: FirstSteps) -> None:
    assert "2 mice are in bids" in steps.output
    assert "Wrote study.yaml" in steps.output
    assert "19 of 19 steps to run." in steps.output
    assert steps.output.count("│ sub-m02 │ success │") == 2
    report = re.search(r"^Report: (.*)$", steps.output, re.MULTILINE)
    assert report
    assert Path(report[1]).is_file()


def test_ki_of_the_brain_is_near_the_truth(steps: FirstSteps) -> None:
    row = re.search(r"│ 2tcm-irreversible │ brain .*│ +([+-][\d.]+) % │ +2 │", steps.output)
    assert row
    assert abs(float(row[1])) < 5


def test_a_second_run_does_nothing(steps: FirstSteps) -> None:
    assert "Everything is up to date." in steps.run("dlif", "run", "study.yaml")


def test_the_plan_names_a_changed_setting_as_shown(steps: FirstSteps) -> None:
    study = steps.folder / "study.yaml"
    before = study.read_text()
    study.write_text(before.replace("weights: duration-decay ", "weights: uniform "))
    try:
        planned = {" ".join(line.split()) for line in steps.run("dlif", "plan", "study.yaml").splitlines()}
    finally:
        study.write_text(before)
    shown = blocks("")[0].splitlines()
    assert len(shown) == 2
    for line in shown:
        assert " ".join(line.split()) in planned


def test_results_are_read_as_shown(steps: FirstSteps) -> None:
    reading, store = blocks("python")
    dimensions = {"regions": {"scan", "region"}, "curves": {"scan", "method", "time"}, "maps": {"z", "y", "x"}}
    checks = [f"assert {dims} <= set({name}.dims), {name}.dims" for name, dims in dimensions.items()]
    checked = "\n".join([reading, *checks, store, "assert 'sub-m01' in set(catalog['scan'])"])
    steps.run("python", "-c", checked)


def test_stored_results_are_sound(steps: FirstSteps) -> None:
    checked = re.search(
        r"(\d+) of (\d+) products are as they were committed", steps.run("dlif", "doctor", "study.yaml")
    )
    assert checked
    assert checked[1] == checked[2]
