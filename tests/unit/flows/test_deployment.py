"""What is registered on a Prefect server is checked before anything is sent."""

import pytest

from dlif_core.errors import ConfigurationError
from flows.deployment import Target, deploy_study


def target(cluster: str = "", cron: str = "", timezone: str = "") -> Target:
    return Target("process", cluster, cron, timezone, 1, "", "")


def test_a_schedule_need_not_be_given() -> None:
    assert target().cron == ""
    assert target(cron="0 4 * * 1", timezone="Europe/Oslo").timezone == "Europe/Oslo"


@pytest.mark.parametrize(
    ("given", "where", "told"),
    [
        ({"cron": "61 * * * *"}, "--cron", "no schedule of cron"),
        ({"cron": "nightly"}, "--cron", "no schedule of cron"),
        ({"timezone": "Mars/Olympus"}, "--timezone", "no time zone"),
        ({"cluster": "{{ $HOME }}"}, "--cluster", "can't be registered"),
    ],
)
def test_what_can_not_be_registered_is_named(given: dict[str, str], where: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as fault:
        target(**given)
    assert fault.value.where == where


@pytest.mark.parametrize(("study", "name"), [("/data/{{ $PREFECT_API_AUTH_STRING }}.yaml", "mice"), ("/a.yaml", "🐁")])
def test_names_that_prefect_would_change_or_lose_are_refused(study: str, name: str) -> None:
    with pytest.raises(ConfigurationError):
        list(deploy_study(study, name, target()))
