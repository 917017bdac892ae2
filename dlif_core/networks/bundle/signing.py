"""Signatures of models, made and checked by OpenSSH with the keys that people have: ``ssh-keygen -Y``.

What is signed is `model.json`, which holds the digests of all other files of a model.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

from dlif_core.errors import ConfigurationError
from dlif_core.networks.bundle.folder import MANIFEST, read_manifest

#: The signature, beside the manifest.
SIGNATURE = f"{MANIFEST}.sig"

#: A signature for another use of the same key does not count.
_NAMESPACE = "dlif-model"


def sign_model(folder: Path, key: Path) -> Path:
    """Sign a model, and return the file of the signature.

    Parameters
    ----------
    folder
        Folder of the model.
    key
        Private key of OpenSSH, or a public one whose private key an agent holds.

    Raises
    ------
    InputError
        If the model is damaged.
    ConfigurationError
        If the key can't be used.
    """
    read_manifest(folder)
    (folder / SIGNATURE).unlink(missing_ok=True)
    done = _ssh("sign", "-f", str(key), "-n", _NAMESPACE, str(folder / MANIFEST))
    if done.returncode or not (folder / SIGNATURE).is_file():
        raise ConfigurationError(
            f"it can't sign: {_said(done)}.",
            where=key,
            hint="Give a private key of OpenSSH, such as ~/.ssh/id_ed25519.",
        )
    return folder / SIGNATURE


def signer_of(folder: Path, signers: Path) -> str:
    """Who signed a model, of those that a file of allowed signers names.

    Parameters
    ----------
    folder
        Folder of the model.
    signers
        Lines of names and public keys, as ``ssh-keygen`` has them (ALLOWED SIGNERS).

    Raises
    ------
    ConfigurationError
        If the model is not signed, was changed since, or was signed by somebody else.
    """
    for path, message in (
        (signers, "there is no such file of signers"),
        (folder / SIGNATURE, "the model is not signed"),
    ):
        if not path.is_file():
            raise ConfigurationError(f"{message}.", where=path, hint=_SIGN)
    return _checked(folder, signers, *(path.stat().st_mtime_ns for path in _files(folder, signers)))


_SIGN = "`dlif model sign MODEL --key KEY` signs it; `signers` names a file with lines `NAME ssh-ed25519 KEY`."


def _files(folder: Path, signers: Path) -> tuple[Path, ...]:
    return signers, folder / MANIFEST, folder / SIGNATURE


@functools.lru_cache
def _checked(folder: Path, signers: Path, *_times: int) -> str:
    """The signer; a study asks for every scan."""
    common = ("-f", str(signers), "-s", str(folder / SIGNATURE))
    found = _ssh("find-principals", *common)
    if found.returncode:
        raise ConfigurationError("it was signed by none of those who may.", where=folder, hint=_SIGN)
    name = found.stdout.splitlines()[0].split(",")[0]
    manifest = (folder / MANIFEST).read_text(encoding="utf-8")
    done = _ssh("verify", *common, "-I", name, "-n", _NAMESPACE, told=manifest)
    if done.returncode:
        raise ConfigurationError("the model was changed after it was signed.", where=folder, hint=_SIGN)
    return name


def _ssh(action: str, *options: str, told: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise ConfigurationError(
            "ssh-keygen is not installed, which makes and checks signatures.",
            where="signers",
            hint="Install OpenSSH, or pin the model by its `digest` instead.",
        )
    return subprocess.run(
        [program, "-Y", action, *options], input=told, capture_output=True, text=True, timeout=60, check=False
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
