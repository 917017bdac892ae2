"""A model folder that is incomplete, damaged or forged is refused in words, whatever its digests say."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from dlif_core.errors import ConfigurationError, DlifError, ExitCode
from dlif_core.input_function.learned import LearnedOptions, facts
from dlif_core.networks.bundle import folder as folders
from dlif_core.networks.bundle.folder import DEFAULT_MODEL, SHIPPED, Manifest, file_digest, pin_of, write_manifest
from dlif_core.networks.bundle.model import load_model
from dlif_core.networks.bundle.signing import sign_model, signer_of

MEMBER = "member-1.safetensors"


@dataclass
class Forgery:
    """A copy of the shipped model with one network, of which anything may be changed; its digests are made anew."""

    folder: Path
    content: dict[str, Any]

    def seal(self) -> None:
        for name in list(self.content["files"]):
            path = self.folder / name
            if path.is_file():
                self.content["files"][name] = file_digest(path)
        content = dict(self.content)
        content.pop("digest", None)
        write_manifest(self.folder, Manifest(**content))

    def text(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def fields(self, name: str, **fields: Any) -> None:
        self.text(name, json.dumps(json.loads((self.folder / name).read_text()) | fields))

    def tensors(self, change: Callable[[dict[str, torch.Tensor]], None], **layout: str) -> None:
        path = self.folder / MEMBER
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata())
            found = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        change(found)
        path.write_bytes(save(found, metadata | layout))


@pytest.fixture
def forgery(tmp_path: Path) -> Forgery:
    target = tmp_path / "model"
    target.mkdir()
    for path in (SHIPPED / DEFAULT_MODEL).iterdir():
        if not path.name.startswith(("member-2", "member-3", "evaluation")):
            shutil.copyfile(path, target / path.name)
    content = json.loads((target / "model.json").read_text())
    content["files"] = {name: digest for name, digest in content["files"].items() if (target / name).exists()}
    content["training"]["members"] = content["training"]["members"][:1]
    found = Forgery(target, content)
    found.seal()
    return found


def nothing(_: dict[str, torch.Tensor]) -> None:
    pass


def first(value: float) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        next(iter(tensors.values())).view(-1)[0] = value

    return change


def other_shape(tensors: dict[str, torch.Tensor]) -> None:
    name = next(iter(tensors))
    tensors[name] = torch.zeros(3)


def one_less(tensors: dict[str, torch.Tensor]) -> None:
    tensors.pop(next(iter(tensors)))


def without(name: str) -> Callable[[Forgery], None]:
    def change(model: Forgery) -> None:
        (model.folder / name).unlink()
        del model.content["files"][name]

    return change


def member(name: str) -> Callable[[Forgery], None]:
    return lambda model: model.content["training"]["members"][0].update(file=name)


def listed(name: str) -> Callable[[Forgery], None]:
    def change(model: Forgery) -> None:
        (model.folder.parent / "other").write_text("secret")
        model.content["files"][name] = file_digest(model.folder.parent / "other")

    return change


def cut(model: Forgery) -> None:
    path = model.folder / MEMBER
    path.write_bytes(path.read_bytes()[:100_000])


def garbage(model: Forgery) -> None:
    (model.folder / MEMBER).write_bytes(b"\xff" * 4096)


def pickled(model: Forgery) -> None:
    torch.save({"a": torch.zeros(3)}, model.folder / MEMBER)


def bare(model: Forgery) -> None:
    (model.folder / MEMBER).write_bytes(save({"a": torch.zeros(3)}))


FORGED: dict[str, Callable[[Forgery], object]] = {
    "no scope": without("scope.json"),
    "no calibration": without("calibration.json"),
    "no splits": without("splits.json"),
    "no card": without("CARD.md"),
    "no network": without(MEMBER),
    "no members": lambda model: model.content["training"].pop("members"),
    "members empty": lambda model: model.content["training"].update(members=[]),
    "members of another kind": lambda model: model.content["training"].update(members=5),
    "member outside": member("../other/member.safetensors"),
    "member absolute": member("/etc/passwd"),
    "member no text": lambda model: model.content["training"]["members"][0].update(file=7),
    "file outside": listed("../other"),
    "calibration empty": lambda model: model.text("calibration.json", "{}"),
    "calibration a list": lambda model: model.text("calibration.json", "[1, 2]"),
    "calibration no JSON": lambda model: model.text("calibration.json", "{"),
    "calibration deep": lambda model: model.text("calibration.json", "[" * 5000 + "]" * 5000),
    "calibration NaN": lambda model: model.fields("calibration.json", inflation=float("nan")),
    "calibration infinite": lambda model: model.fields("calibration.json", inflation=float("inf")),
    "calibration of text": lambda model: model.fields("calibration.json", factors="many"),
    "calibration too short": lambda model: model.fields("calibration.json", factors=[1.0]),
    "scope empty": lambda model: model.text("scope.json", "{}"),
    "scope of text": lambda model: model.fields("scope.json", domains="all"),
    "splits of numbers": lambda model: model.text("splits.json", '{"training": 5}'),
    "weights cut": cut,
    "weights garbage": garbage,
    "weights pickled": pickled,
    "weights of something else": bare,
    "weights NaN": lambda model: model.tensors(first(float("nan"))),
    "weights infinite": lambda model: model.tensors(first(float("inf"))),
    "weights of another shape": lambda model: model.tensors(other_shape),
    "weights missing": lambda model: model.tensors(one_less),
    "channels huge": lambda model: model.tensors(nothing, channels="[1000000, 1000000, 1000000]"),
    "channels of text": lambda model: model.tensors(nothing, channels='["a", 1, 2]'),
    "revisions of text": lambda model: model.tensors(nothing, revisions='"a"'),
    "revisions huge": lambda model: model.tensors(nothing, revisions="1000000000"),
    "preprocessing of text": lambda model: model.content.update(preprocessing="none"),
    "outcome of text": lambda model: model.content["preprocessing"].update(outcome="abc"),
    "kind unknown": lambda model: model.content.update(kind="other"),
}


def test_the_copy_is_sound(forgery: Forgery) -> None:
    assert load_model(forgery.folder).name == DEFAULT_MODEL


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_model_is_refused(forgery: Forgery, name: str) -> None:
    FORGED[name](forgery)
    forgery.seal()
    with pytest.raises(DlifError) as caught:
        load_model(forgery.folder)
    assert caught.value.exit_code in (ExitCode.CONFIGURATION, ExitCode.INPUT)
    assert str(forgery.folder) in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"format": 1, "files": 5}', '{"format": 1, "files": {"a": 1}}']
)
def test_a_manifest_of_something_else_is_refused(forgery: Forgery, text: str) -> None:
    forgery.text("model.json", text)
    with pytest.raises(DlifError) as caught:
        load_model(forgery.folder)
    assert caught.value.exit_code is ExitCode.INPUT


class TestPin:
    def test_is_the_sha256_of_the_manifest(self, forgery: Forgery) -> None:
        assert pin_of(forgery.folder) == file_digest(forgery.folder / "model.json")

    def test_a_pinned_model_is_used_and_its_pin_decides_no_number(self, forgery: Forgery) -> None:
        pinned = LearnedOptions(model=str(forgery.folder), digest=pin_of(forgery.folder))
        free = LearnedOptions(model=str(forgery.folder))
        assert facts(pinned) == facts(free)
        assert pinned.deciding_settings() == free.deciding_settings()

    @pytest.mark.parametrize("file", [MEMBER, "calibration.json", "CARD.md"])
    def test_any_other_is_refused_whatever_changed(self, forgery: Forgery, file: str) -> None:
        pin = pin_of(forgery.folder)
        if file == MEMBER:
            forgery.tensors(first(0.5))
        else:
            forgery.text(file, (forgery.folder / file).read_text() + "\n")
        forgery.seal()
        with pytest.raises(ConfigurationError, match="not the one that is pinned") as caught:
            facts(LearnedOptions(model=str(forgery.folder), digest=pin))
        assert pin_of(forgery.folder) in str(caught.value)

    @pytest.mark.parametrize("digest", ["abc", "sha256:" + "g" * 64, 5])
    def test_what_is_no_digest_is_told(self, digest: object) -> None:
        with pytest.raises(ValueError, match="digest"):
            LearnedOptions.model_validate({"digest": digest})

    def test_may_have_a_prefix(self, forgery: Forgery) -> None:
        facts(LearnedOptions(model=str(forgery.folder), digest=f"sha256:{pin_of(forgery.folder)}"))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    import subprocess

    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    for name in ("ours", "theirs"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    (tmp_path / "signers").write_text(f"lab@example.org {(tmp_path / 'ours.pub').read_text()}")
    return tmp_path


class TestSignature:
    def test_of_a_known_key_is_accepted(self, forgery: Forgery, keys: Path) -> None:
        sign_model(forgery.folder, keys / "ours")
        assert signer_of(forgery.folder, keys / "signers") == "lab@example.org"
        facts(LearnedOptions(model=str(forgery.folder), signers=str(keys / "signers")))

    def test_of_another_key_is_refused(self, forgery: Forgery, keys: Path) -> None:
        sign_model(forgery.folder, keys / "theirs")
        with pytest.raises(ConfigurationError, match="none of those"):
            facts(LearnedOptions(model=str(forgery.folder), signers=str(keys / "signers")))

    def test_does_not_cover_another_card(self, forgery: Forgery, keys: Path) -> None:
        sign_model(forgery.folder, keys / "ours")
        forgery.text("CARD.md", "For clinical use.")
        forgery.seal()
        with pytest.raises(ConfigurationError, match="changed after it was signed"):
            signer_of(forgery.folder, keys / "signers")

    def test_that_is_missing_is_told(self, forgery: Forgery, keys: Path) -> None:
        with pytest.raises(ConfigurationError, match="not signed"):
            signer_of(forgery.folder, keys / "signers")
        sign_model(forgery.folder, keys / "ours")
        with pytest.raises(ConfigurationError, match="no such file"):
            signer_of(forgery.folder, keys / "nobody")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLIF_MODELS", str(tmp_path / "user"))
    assert folders.user_models() == tmp_path / "user"
