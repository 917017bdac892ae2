"""Make the environment of the peers, `benchmarks/.peers`, or print why it can't be made.

python benchmarks/peers.py
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent / ".peers"
READY = FOLDER / ".ready"
PYTHON = FOLDER / "bin" / "python"
# petpal asks for Python 3.12 but runs on 3.11; its dependencies include documentation tools.
PETPAL = ["--ignore-requires-python", "--no-deps", "petpal==0.7.1"]
NEEDED_BY_PETPAL = [
    "numba",
    "lmfit",
    "pandas",
    "nibabel",
    "scikit-learn",
    "seaborn",
    "matplotlib",
    "networkx",
    "antspyx",
    "simpleitk",
    "fslpy",
    "docker",
    "bids-validator",
]


def make() -> None:
    venv.create(FOLDER, with_pip=True, clear=True)
    for packages in (PETPAL, NEEDED_BY_PETPAL):
        command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(command, check=True, capture_output=True, text=True)
    subprocess.run(
        [PYTHON, "-c", "import petpal.kinetic_modeling.parametric_images, petpal.kinetic_modeling.tac_fitting"],
        check=True,
        capture_output=True,
        text=True,
    )
    READY.touch()


def main() -> None:
    if READY.exists():
        return
    print("making the peers' environment (a few minutes, once)", flush=True)
    try:
        make()
    except (subprocess.CalledProcessError, OSError) as fault:
        why = (getattr(fault, "stderr", "") or str(fault)).strip().splitlines()
        print(f"petpal can't be installed here; benchmarks run without it: {why[-1] if why else fault}")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
