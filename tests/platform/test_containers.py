"""The CPU image: built, small, run as nobody in particular, with nothing written but where that is meant."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.platform.containers import ROOT, in_container, podman

pytestmark = pytest.mark.timeout(900)  # the first test builds the image

_LARGEST = 1.5e9
#: As docs/containers.md recommends for every container of the image.
GUARDED = ("--init", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp")


def inspected(image: str) -> dict[str, object]:
    done = subprocess.run(["podman", "image", "inspect", image], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout)[0])


def test_the_image_is_small(image: str) -> None:
    size = inspected(image)["Size"]
    assert isinstance(size, int)
    print(f"\nThe CPU image has {size / 1e9:.2f} GB.")
    assert size < _LARGEST


def test_nothing_of_the_machine_that_built_it_is_in_the_image(image: str) -> None:
    found = inspected(image)
    config = found["Config"]
    assert isinstance(config, dict)
    assert config["User"] == "10001:10001"
    assert not [variable for variable in config["Env"] if variable.startswith("PIP_")]
    script = "cat /etc/pip.conf 2>/dev/null; find /opt/dlif -writable -not -type l"
    assert in_container("--entrypoint=sh", image, "-c", script) == ""


def test_dlif_runs_as_any_user(image: str) -> None:
    assert in_container(*GUARDED, image, "--version").startswith("dlif ")
    for user in ("10001:10001", "4242:4242"):
        assert "torch" in in_container(*GUARDED, f"--user={user}", image, "doctor")
    assert in_container("--entrypoint=id", image, "-u").strip() == "10001"


def test_the_bill_of_materials_lists_what_is_installed(image: str) -> None:
    listing = "import json, importlib.metadata as m; print(json.dumps([d.metadata['Name'] for d in m.distributions()]))"
    installed = set(json.loads(in_container("--entrypoint=/opt/dlif/bin/python", image, "-c", listing)))
    bill = json.loads(in_container("--entrypoint=cat", image, "/opt/dlif/sbom.cdx.json"))
    assert bill["bomFormat"] == "CycloneDX"
    kinds = [component["purl"].split("/")[0] for component in bill["components"] if "purl" in component]
    assert {component["name"] for component in bill["components"]} >= installed
    assert kinds.count("pkg:deb") > 50


def test_a_secret_that_cannot_be_read_is_refused(image: str) -> None:
    command = podman("--rm", "--env=PREFECT_API_AUTH_STRING_FILE=/run/secrets/none", image, "doctor")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "PREFECT_API_AUTH_STRING_FILE: /run/secrets/none is empty or can't be read by user 10001." in done.stderr


def test_health_is_that_of_dlif_or_of_an_address(image: str) -> None:
    assert in_container("--entrypoint=dlif-health", image).startswith("dlif ")
    nobody = podman("--rm", "--env=DLIF_HEALTH_URL=http://127.0.0.1:9/", "--entrypoint=dlif-health", image)
    assert subprocess.run(nobody, capture_output=True, check=False).returncode != 0


def test_the_demo(image: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)  # pytest's folders are their owner's alone; that of the container is another
    mount = f"--volume={tmp_path}:/work"
    in_container(*GUARDED, mount, image, "simulate", "bids", "--mice", "1", "--irreversible", "--voxel-size", "1.1")
    shutil.copy(ROOT / "examples" / "demo.yaml", tmp_path / "study.yaml")
    said = in_container(*GUARDED, mount, image, "run", "study.yaml")
    assert (tmp_path / "results" / "cohort" / "report.html").exists(), said
    assert "unavailable" not in said  # the learned input function, too
