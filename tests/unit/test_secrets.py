"""Secrets: refused in settings, masked in errors, logs and tracebacks."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.masking import holds_credentials, mask_logs, masked
from dlif_core.store.folders import open_folder
from dlif_core.study.config import load_study
from tests.unit.study.test_config import study_file

SECRET = "wJalrXUtnFEMI"
WITH_CREDENTIALS = [
    f"s3://AKIDEXAMPLE:{SECRET}@bucket/mice",
    f"s3://AKIDEXAMPLE:{SECRET}/K7MDENG@bucket/mice",
    f"simplecache::s3://AKIDEXAMPLE:{SECRET}@bucket/mice",
    f"https://doe:{SECRET}@host/mice",
    f"https://{SECRET}@host/mice",
    f"https://host/mice?X-Amz-Signature={SECRET}",
    f"https://account.blob.core.windows.net/mice?sv=2020&sig={SECRET}",
    f"sftp://doe:{SECRET}@host/mice",
    f"https://doe:{SECRET}/K7MDENG@host/mice",
    f"s3://AKIDEXAMPLE:{SECRET}",
]
WITHOUT = [
    *("s3://bucket/mice", "tcp://10.0.0.1:8786", "tls://[fe80::1]:8786", "sftp://doe@host/mice", "memory://mice"),
    *("abfs://container@account.dfs.core.windows.net/mice", "https://host:8080/a@b.tsv?page=2", "C:/mice", "a:b@c"),
    *("file:///data/a:b@c", "s3://bucket/{subject}/{session}*.tsv", "http://proxy:$PORT"),
]


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
@pytest.mark.parametrize("setting", ["data", "output", "learned"])
def test_a_study_with_credentials_in_an_address_is_refused(tmp_path: Path, setting: str, address: str) -> None:
    content = {"input_functions": {"learned": {"model": address}}} if setting == "learned" else {setting: address}
    with pytest.raises(ConfigurationError) as caught:
        load_study(study_file(tmp_path, **content))
    assert "credentials" in caught.value.message
    assert setting in caught.value.message
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.hint
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
def test_so_is_a_place_that_code_names(address: str) -> None:
    with pytest.raises(ConfigurationError, match="credentials") as caught:
        open_folder(address)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("address", WITHOUT)
def test_other_addresses_hold_none(address: str) -> None:
    assert not holds_credentials(address)
    assert masked(address).replace("***@b.tsv", "host:8080/a@b.tsv") == address


@pytest.mark.parametrize(
    "address",
    ["tcp://h:abc", "tls://10.0.0.1:87o6", "tcp://[fe80::1]:x", "https://host:abc/mice", "sftp://host:x/mice"],
)
def test_a_port_that_is_no_number_is_called_so(tmp_path: Path, address: str) -> None:
    assert not holds_credentials(address)
    for setting in ("data", "output"):
        with pytest.raises(ConfigurationError, match=r"port .* is no number") as caught:
            load_study(study_file(tmp_path, **{setting: address}))
        assert f"{setting}" in caught.value.message
        assert "credentials" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"port .* is no number"):
        open_folder(address)


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
def test_errors_are_masked(address: str) -> None:
    fault = InputError(f"no answer from {address}.", where=address, hint=f"Ask {address}.")
    assert SECRET not in repr(fault)
    assert SECRET not in str(fault)


@pytest.mark.parametrize(
    "text",
    [
        f"{{'key': 'a', 'secret': '{SECRET}'}}",
        f"aws_secret_access_key = {SECRET}",
        f"headers: {{'Authorization': 'Bearer {SECRET}'}}",
        f'"password": "{SECRET}"',
        f"postgresql+asyncpg://dlif:{SECRET}@host/prefect",
        f"PREFECT_API_AUTH_STRING=admin:{SECRET}",
    ],
)
def test_secrets_by_name_are_masked(text: str) -> None:
    assert SECRET not in masked(text)


def test_values_of_the_environment_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSSPEC_S3_SECRET", SECRET)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:geheim")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/home/doe/keys")
    assert masked(f"{SECRET} or admin:geheim from /home/doe/keys") == "*** or *** from /home/doe/keys"


def test_logs_and_tracebacks_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    factory, hook = logging.getLogRecordFactory(), sys.excepthook
    mask_logs()
    try:
        try:
            raise ValueError(WITH_CREDENTIALS[0])
        except ValueError:
            logging.getLogger("botocore").exception("failed for %s", WITH_CREDENTIALS[1])
    finally:
        logging.setLogRecordFactory(factory)
        sys.excepthook = hook
    assert "Traceback" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.slow
def test_no_password_of_a_server_is_shown_by_a_run_that_does_not_reach_it(tmp_path: Path) -> None:
    from dlif_core.phantom import write_cohort

    write_cohort(tmp_path / "bids", 1, seed=1, voxel_size=2.0)
    study = study_file(tmp_path)
    environment = {"PREFECT_API_URL": f"http://doe:{SECRET}@127.0.0.1:9/api", "PREFECT_HOME": str(tmp_path / "prefect")}
    command = [sys.executable, "-m", "flows.cli", "run", str(study), "--workers", "1"]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("study", "is_taken"),
    [("/data/mice/study.yaml", True), ("s3://bucket/a@b.yaml", True), (f"s3://AKID:{SECRET}@bucket/study.yaml", False)],
)
def test_the_form_of_a_flow_takes_no_address_with_credentials(study: str, is_taken: bool) -> None:
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools.validation import validate

    from flows.cohort import cohort

    schema = parameter_schema(cohort).model_dump_for_openapi()
    assert (validate({"study": study}, schema) == []) is is_taken


def test_the_page_of_a_run_is_kept_without_the_password_of_the_server() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.study_run import page_of

    run = UUID("6d8fe732-b64f-4a5e-8e86-7e24fa667b9e")
    with temporary_settings({PREFECT_API_URL: f"http://doe:{SECRET}@host:4200/api"}):
        assert page_of(run) == f"http://***@host:4200/runs/flow-run/{run}"
