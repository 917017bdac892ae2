"""Which cluster a name, a file or an address means, and what is wrong with a profile."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import yaml

from dlif_core.compute.address import AddressProfile
from dlif_core.compute.kinds import KINDS
from dlif_core.compute.local import LocalProfile
from dlif_core.compute.profiles import chosen_cluster
from dlif_core.compute.slurm_profile import SlurmProfile
from dlif_core.errors import ConfigurationError
from dlif_core.study.config import load_study

TEMPLATES = Path(__file__).parents[3] / "deployments" / "clusters"
CPU = {"cores": 4, "memory": "8 GB", "walltime": "2 h", "jobs": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user's own profiles."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = tmp_path / "dlif" / "clusters"
    found.mkdir(parents=True)
    return found


def write(path: Path, **content: object) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: path.stem)
def test_templates_are_sound_and_so_is_what_they_have_in_comments(template: Path, tmp_path: Path) -> None:
    chosen_cluster(str(template))
    complete = tmp_path / template.name
    complete.write_text(re.sub(r"^( *)# (?=\w+: )", r"\1", template.read_text(), flags=re.MULTILINE))
    assert complete.read_text().count("#") < template.read_text().count("#")
    assert chosen_cluster(str(complete)).kind.name in KINDS


def test_a_name_means_ones_own_profile_before_a_kind(folder: Path) -> None:
    assert chosen_cluster("local").profile == LocalProfile()
    write(folder / "local.yaml", kind="local", workers=3)
    write(folder / "big.yaml", kind="slurm", cpu=CPU)
    assert chosen_cluster("local").profile.worker_memory() == LocalProfile(workers=3).worker_memory()
    big = chosen_cluster("big").profile
    assert isinstance(big, SlurmProfile)
    assert big.worker_memory() == 2_000_000_000
    with pytest.raises(ConfigurationError, match=r"there is no cluster 'bg'\. Did you mean 'big'\?"):
        chosen_cluster("bg")


def test_an_address_is_a_cluster() -> None:
    assert chosen_cluster("tcp://127.0.0.1:8786").profile == AddressProfile(address="tcp://127.0.0.1:8786")
    for wrong in ("tls://nowhere", "tcp://host:0", "tcp://:8786", "tcp://host:"):
        with pytest.raises(ConfigurationError, match="tls://host:port"):
            chosen_cluster(wrong)
    with pytest.raises(ConfigurationError, match=r"tcp://h:abc: .*port .* is no number"):
        chosen_cluster("tcp://h:abc")
    with pytest.raises(ConfigurationError, match="between 1 and 65535"):
        chosen_cluster("tcp://h:87860")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"kind": "slrum"}, r"no kind of cluster 'slrum'\. Did you mean 'slurm'"),
        ({"workers": 3}, "says its `kind`"),
        ({"kind": "local", "worker": 3}, "Did you mean 'workers'"),
        ({"kind": "local", "memory": "much"}, "memory: give a number and its unit"),
        ({"kind": "slurm", "cpu": CPU | {"walltime": 14400}}, "cpu.walltime: give a number and its unit"),
        ({"kind": "slurm", "cpu": {"cores": 4}}, "cpu.memory: it is needed"),
        ({"kind": "address", "address": "tls://a:1", "key": "k"}, "belong together"),
        ({"kind": "local", "workers": True}, "workers: a number belongs here, not true or false"),
        ({"kind": "slurm", "cpu": CPU | {"cores": True}}, "cpu.cores: a number belongs here"),
        ({"kind": "slurm", "cpu": CPU | {"jobs": 2, "fewest": 3}}, r"cpu: `fewest` \(3\) is more than `jobs` \(2\)"),
        ({"kind": "slurm", "cpu": CPU | {"fewest": -1}}, "cpu.fewest: Input should be greater than or equal to 0"),
        ({"kind": "slurm", "cpu": CPU | {"partition": "-x"}}, "cpu.partition: '-x' is no name"),
        ({"kind": "slurm", "cpu": CPU | {"account": "a b"}}, "cpu.account: 'a b' is no name"),
        ({"kind": "slurm", "cpu": CPU | {"scratch": "/a b; rm"}}, "cpu.scratch: .* is no folder of a node"),
        ({"kind": "slurm", "cpu": CPU | {"directives": ["--output=x"]}}, "cpu.directives.0: '--output=x' can't be"),
        ({"kind": "slurm", "cpu": CPU, "gpu": CPU | {"request": "gpu:1"}}, "gpu.request: 'gpu:1' is no option"),
        ({"kind": "slurm", "cpu": CPU, "interface": "ib0 x"}, "interface: 'ib0 x' is no name"),
    ],
)
def test_a_fault_of_a_profile_is_named_with_the_file(tmp_path: Path, content: dict[str, object], expected: str) -> None:
    path = write(tmp_path / "cluster.yaml", **content)
    with pytest.raises(ConfigurationError, match=expected) as caught:
        chosen_cluster(path)
    assert caught.value.where == path


def test_a_number_of_workers_is_for_this_machine_only(tmp_path: Path) -> None:
    profile = chosen_cluster("local").with_workers(5).profile
    assert isinstance(profile, LocalProfile)
    assert profile.count() == 5
    slurm = write(tmp_path / "cluster.yaml", kind="slurm", cpu=CPU)
    with pytest.raises(ConfigurationError, match="--workers"):
        chosen_cluster(slurm).with_workers(5)


def test_a_study_names_its_cluster_which_decides_no_product(tmp_path: Path) -> None:
    write(tmp_path / "slurm.yaml", kind="slurm", cpu=CPU)
    study = write(tmp_path / "study.yaml", name="a", data=".", output="out", cluster="slurm.yaml")
    assert load_study(study).cluster == str(tmp_path / "slurm.yaml")


class TestAddresses:
    """Who may be connected to."""

    def test_encryption_needs_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        chosen = chosen_cluster("tls://127.0.0.1:8786")
        with pytest.raises(ConfigurationError, match="there are no credentials"), chosen.kind.open(chosen.profile):
            pass

    def test_a_missing_file_of_credentials_is_named(self, tmp_path: Path) -> None:
        files = {name: str(tmp_path / name) for name in ("ca_file", "certificate", "key")}
        chosen = chosen_cluster(write(tmp_path / "c.yaml", kind="address", address="tls://127.0.0.1:8786", **files))
        with pytest.raises(ConfigurationError, match="is not there"), chosen.kind.open(chosen.profile):
            pass

    def test_an_open_scheduler_in_the_internet_is_refused_and_a_near_one_only_told(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def resolved(host: str, _port: object) -> list[tuple[object, ...]]:
            address = "8.8.8.8" if host == "far.example.org" else "10.0.0.4"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        far, near = (chosen_cluster(f"tcp://{host}.example.org:8786") for host in ("far", "near"))
        with pytest.raises(ConfigurationError, match="open internet"), far.kind.open(far.profile):
            pass
        with near.kind.open(near.profile) as started:
            assert started.scheduler == "tcp://near.example.org:8786"
        assert "asks for no credentials" in caplog.text
