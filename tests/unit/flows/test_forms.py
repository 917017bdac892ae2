"""What the Prefect UI shows before a run: a form with every parameter described, deployments that name real flows."""

import json
from importlib.resources import files

import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint

DEPLOYMENTS = yaml.safe_load(files("deployments").joinpath("prefect.yaml").read_text())["deployments"]
ENTRYPOINTS = sorted({one["entrypoint"] for one in DEPLOYMENTS})
POOLS = sorted(path.name for path in files("deployments").joinpath("work-pools").iterdir())


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_every_parameter_is_typed_and_described(entrypoint: str) -> None:
    flow: Flow[..., object] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    for name, shown in flow.parameters.properties.items():
        assert shown.get("description", "").endswith("."), name
        assert "type" in shown or "anyOf" in shown, name
    assert flow.description


@pytest.mark.parametrize("given", [one for one in DEPLOYMENTS if "parameters" in one], ids=lambda one: one["name"])
def test_deployments_give_parameters_that_their_flow_has(given: dict[str, dict[str, object]]) -> None:
    flow: Flow[..., object] = load_flow_from_entrypoint(given["entrypoint"], use_placeholder_flow=False)
    assert given["parameters"].keys() <= flow.parameters.properties.keys()
    assert set(flow.parameters.required) <= given["parameters"].keys()


@pytest.mark.parametrize("name", POOLS)
def test_templates_of_work_pools_use_what_they_declare(name: str) -> None:
    template = json.loads(files("deployments").joinpath("work-pools", name).read_text())
    declared = template["variables"]["properties"]
    used = json.dumps(template["job_configuration"])
    assert [variable for variable in declared if f"{{{{ {variable} }}}}" not in used] == []
    assert used.count("{{") == sum(used.count(f"{{{{ {variable} }}}}") for variable in declared)
    assert all(shown["description"] for shown in declared.values())
