import httpx
import pytest

from dlif_core.errors import ConfigurationError
from flows.server import server_is_needed


def test_a_server_that_does_not_answer_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with (
        pytest.raises(ConfigurationError, match=r"no Prefect server answers at http://127\.0\.0\.1:9/api"),
        server_is_needed(),
    ):
        httpx.get("http://127.0.0.1:9/api/health")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="something else"), server_is_needed():
        raise RuntimeError("something else")


@pytest.mark.parametrize(("status", "told"), [(401, "does not take this login"), (404, "is no Prefect server")])
def test_a_server_that_refuses_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, status: int, told: str) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://anna:secret@127.0.0.1:9/api")
    request = httpx.Request("GET", "http://127.0.0.1:9/api/health")
    with pytest.raises(ConfigurationError, match=told) as fault, server_is_needed():
        raise httpx.HTTPStatusError("refused", request=request, response=httpx.Response(status, request=request))
    assert "secret" not in str(fault.value)
