"""The study file: defaults, refusals that help, relative paths."""

from pathlib import Path

import pytest
import yaml

from dlif_core.errors import ConfigurationError
from dlif_core.study.config import load_study
from dlif_core.study.template import study_template

FLAT = {"model": "1tcm", "name": "flat", "weights": "uniform"}
SUV = {"model": "suv", "window": [1, 9]}
MINIMAL = {"name": "s", "data": "bids", "output": "out"}


def study_file(folder: Path, **content: object) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | content))
    return path


def test_paths_are_relative_to_the_study_file(tmp_path: Path) -> None:
    config = load_study(study_file(tmp_path, output="s3://bucket/out"))
    assert config.data == str(tmp_path / "bids")
    assert config.output == "s3://bucket/out"


def test_the_template_is_a_valid_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(study_template("mine", "bids", "out"))
    assert load_study(path).kinetics[0].model == "2tcm-irreversible"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"kinetic": []}, "Did you mean 'kinetics'?"),
        ({"kinetics": [{"model": "patlak", "tstar": 10}]}, "Did you mean 't_star'?"),
        ({"kinetics": [{"model": "2tcm-ireversible"}]}, "Did you mean '2tcm-irreversible'?"),
        ({"kinetics": [{"model": "patlak"}]}, "t_star"),
        ({"input_functions": {"arterail": {}}}, "Did you mean 'arterial'?"),
        ({"kinetics": [{"model": "1tcm", "input_function": "populaton"}]}, "Did you mean 'population'?"),
        ({"kinetics": [{"model": "1tcm"}, {"model": "1tcm"}]}, "two kinetic analyses are called '1tcm'"),
        ({"kinetics": [{"model": "1tcm", "blood_volume": 2}]}, "blood_volume"),
        ({"kinetics": [{"model": "patlak", "t_star": "auto"}]}, "kinetics.0.t_star: Input should be a valid number"),
        ({"kinetics": [{"model": "suv", "window": [1, 9], "input_function": "arterial"}]}, "suv needs none"),
        (
            {"select": {"of": ["1tcm", "2tcm-irreversible"]}, "kinetics": [{"model": "1tcm"}]},
            "no kinetic analysis '2tcm-irreversible'",
        ),
        ({"select": {"of": [FLAT["name"], "1tcm"]}, "kinetics": [FLAT, {"model": "1tcm"}]}, "different weights"),
        ({"select": {"of": ["suv", "1tcm"]}, "kinetics": [SUV, {"model": "1tcm"}]}, "no information criterion"),
        ({"regions": {"group": {}}}, "Did you mean 'groups'?"),
    ],
)
def test_a_wrong_setting_is_named_with_the_nearest_valid_one(
    tmp_path: Path, content: dict[str, object], expected: str
) -> None:
    path = study_file(tmp_path, **content)
    with pytest.raises(ConfigurationError) as fault:
        load_study(path)
    assert expected in str(fault.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as fault:
        load_study(study_file(tmp_path, kinetic=1, compar=2))
    assert "kinetic" in str(fault.value)
    assert "compar" in str(fault.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="dlif init"):
        load_study(tmp_path / "absent.yaml")
