"""A package of someone else that is found by its entry points: listed, used in a notebook and in a study.

It lies in this folder with the metadata of an installed package, so that it is there in a process that has the folder
on its path, and only there.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

HERE = Path(__file__).parent
START = np.arange(0.0, 3600.0, 300.0)
END = START + 300.0
SLOPE = 50.0
#: Ratio of tissue to plasma, which both rise in proportion to time.
RATIOS = {"brain": 2.0, "muscle": 0.5}

LISTS = """
import dlif_core as dlif
assert "toy-ratio" in dlif.MODELS and dlif.MODELS["toy-ratio"].parameters[0].units == "1"
assert "toy-rise" in dlif.METHODS and "toy-csv" in dlif.READERS
"""
NOTEBOOK = """
import dlif_core as dlif
scan = dlif.open_scan("scans", "mouse-1")
aif = dlif.estimate_input_function(scan, "toy-rise", slope=50)
print(*dlif.fit(scan, "toy-ratio", input_function=aif)["ratio"].values.tolist())
"""
STUDY = """
import sys
from concurrent.futures import ThreadPoolExecutor
import dlif_core as dlif
from dlif_core.study.config import load_study
from flows.serial import run_shard
config = load_study("study.yaml")
with ThreadPoolExecutor(1) as executor:
    outcomes = run_shard(config, executor)
assert {outcome.status for outcome in outcomes} == {"success"}, outcomes
store = dlif.open_store(config.output)
(name,) = [name for name in store.products() if name.startswith("scans/mouse-1") and "toy-ratio" in name]
print(*store.open_dataset(name)["ratio"].values.tolist())
"""


def write_scan(folder: Path) -> None:
    folder.mkdir()
    rows = [
        ",".join(map(str, (start, end, *(ratio * SLOPE * (start + end) / 2 for ratio in RATIOS.values()))))
        for start, end in zip(START, END, strict=True)
    ]
    (folder / "mouse-1.csv").write_text("\n".join([",".join(("start", "end", *RATIOS)), *rows]))


def run(code: str, folder: Path, *, installed: bool = True) -> str:
    """Output of a program in a process in which the package is installed."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *([str(HERE)] if installed else [])])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_parts_are_in_the_registries(tmp_path: Path) -> None:
    run(LISTS, tmp_path)


def test_without_it_they_are_not(tmp_path: Path) -> None:
    run("import dlif_core as dlif; assert 'toy-ratio' not in dlif.MODELS", tmp_path, installed=False)


def test_a_notebook_uses_them(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans")
    found = [float(word) for word in run(NOTEBOOK, tmp_path).split()]
    np.testing.assert_allclose(found, list(RATIOS.values()))


@pytest.mark.slow
def test_a_study_uses_them(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans")
    study = {
        "name": "plugin",
        "data": {"uri": "scans", "format": "toy-csv"},
        "output": "out",
        "input_functions": {"toy-rise": {"slope": SLOPE}},
        "kinetics": [{"model": "toy-ratio"}],
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    found = [float(word) for word in run(STUDY, tmp_path).splitlines()[-1].split()]
    np.testing.assert_allclose(found, list(RATIOS.values()))
