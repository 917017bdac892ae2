"""The study file: defaults, refusals that help, relative paths."""

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from dlif_core.errors import ConfigurationError
from dlif_core.input_function import METHODS, Method, Options
from dlif_core.input_function.arterial import ArterialOptions
from dlif_core.input_function.population import PopulationOptions
from dlif_core.kinetics import FitSettings
from dlif_core.networks.bundle.folder import DEFAULT_MODEL, SHIPPED
from dlif_core.study.config import StudyConfig, learned_model, load_study, parse_study
from dlif_core.study.stages.explanation import is_explained
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
    assert config.data.uri == str(tmp_path / "bids")
    assert config.output == "s3://bucket/out"


PRINTABLE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")))


class TestTemplate:
    def test_is_a_valid_study(self, tmp_path: Path) -> None:
        path = tmp_path / "study.yaml"
        path.write_text(study_template("mine", "bids", "out"))
        assert load_study(path).kinetics[0].settings == FitSettings("2tcm-irreversible")

    @given(PRINTABLE, PRINTABLE, PRINTABLE)
    @example("it's: #1", "[data]", "{out}")
    @example("'", '"', "null")
    @example("- a", "~", "2024-01-01")
    @example("&a", "*b", "!c")
    @example("%x", "@y", "a: b # c")
    def test_texts_come_back_as_they_were(self, name: str, data: str, output: str) -> None:
        content = yaml.safe_load(study_template(name, data, output))
        assert (content["name"], content["data"], content["output"]) == (name, data, output)
        assert parse_study(content, where=Path("/studies/study.yaml")).name == name


class TestKinetics:
    """The settings of a fit stand flat in the file, and are one object in the program."""

    def test_decides_by_its_settings(self, tmp_path: Path) -> None:
        """Names and values of the parts of fingerprints: other ones would make every product stale."""
        content = {"model": "patlak", "t_star": 15, "name": "p", "denoise": 2, "weight_limits": [0, 10], "maps": False}
        fit = load_study(study_file(tmp_path, kinetics=[content])).kinetics[0]
        regions = {
            "kinetics.p.model": "patlak",
            "kinetics.p.input_function": None,
            "kinetics.p.blood_volume": None,
            "kinetics.p.delay": "none",
            "kinetics.p.t_star": 15.0,
            "kinetics.p.reference": None,
            "kinetics.p.k2_prime": None,
            "kinetics.p.rates": None,
            "kinetics.p.window": None,
            "kinetics.p.leading_region": None,
            "kinetics.p.weights": "duration-decay",
            "kinetics.p.weight_limits": [0.0, 10.0],
            "kinetics.p.intervals": False,
        }
        assert fit.deciding_settings(maps=False) == regions
        assert fit.deciding_settings(maps=True) == regions | {"kinetics.p.denoise": 2.0}

    def test_a_pilot_region_keeps_its_key(self, tmp_path: Path) -> None:
        content = {"model": "1tcm", "leading_region": "liver"}
        fit = load_study(study_file(tmp_path, kinetics=[content])).kinetics[0]
        assert fit.deciding_settings(maps=False)["kinetics.1tcm.leading_region"] == "liver"

    def test_values_are_those_of_the_settings(self, tmp_path: Path) -> None:
        content = {"model": "suvr", "window": [30, 45], "reference": "cerebellum", "weights": [1, 2, 3]}
        fit = load_study(study_file(tmp_path, kinetics=[content])).kinetics[0]
        assert fit.settings == FitSettings("suvr", window=(30.0, 45.0), reference="cerebellum", weights=(1.0, 2.0, 3.0))

    def test_is_written_as_it_is_read(self, tmp_path: Path) -> None:
        config = load_study(study_file(tmp_path, kinetics=[{"model": "patlak", "t_star": "find", "name": "p"}]))
        assert config.model_dump(mode="json")["kinetics"][0].items() >= {"model": "patlak", "name": "p"}.items()
        assert StudyConfig.model_validate(config.model_dump()) == config


class TestInputFunctions:
    def test_are_objects_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        content = {"population": None, "arterial": {"delay_s": 3}}
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(MINIMAL | {"input_functions": content}, sort_keys=False))
        options = load_study(path).input_functions
        assert list(options.items()) == [("population", PopulationOptions()), ("arterial", ArterialOptions(delay_s=3))]

    def test_are_four_by_default(self, tmp_path: Path) -> None:
        options = load_study(study_file(tmp_path)).input_functions
        assert list(options) == ["arterial", "learned", "image-derived", "population"]
        assert all(options[method] == METHODS[method].options() for method in options)

    def test_are_written_with_all_options(self, tmp_path: Path) -> None:
        config = load_study(study_file(tmp_path, input_functions={"learned": {"samples": 32}}))
        assert config.model_dump(mode="json")["input_functions"] == {
            "learned": {
                "model": None,
                "digest": None,
                "signers": None,
                "samples": 32,
                "explain": True,
                "parent_fraction": "hill",
                "parent_fraction_start": None,
                "plasma_ratio": "interpolation",
                "plasma": None,
            }
        }

    @pytest.mark.parametrize(
        ("methods", "model"),
        [
            ({"learned": {"model": str(SHIPPED / DEFAULT_MODEL)}}, SHIPPED / DEFAULT_MODEL),
            ({"learned": {}}, SHIPPED / DEFAULT_MODEL),
            ({"arterial": {}}, None),
        ],
    )
    def test_the_model_of_the_study_is_the_one_to_explain(
        self, tmp_path: Path, methods: dict[str, object], model: Path | None
    ) -> None:
        assert learned_model(load_study(study_file(tmp_path, input_functions=methods))) == model

    def test_the_explanation_of_a_learned_curve_can_be_left_out_and_decides_no_curve(self, tmp_path: Path) -> None:
        shown, hidden, other = (
            load_study(study_file(tmp_path, input_functions=methods))
            for methods in ({"learned": {}}, {"learned": {"explain": False}}, {"arterial": {}})
        )
        assert [is_explained(config) for config in (shown, hidden, other)] == [True, False, False]
        settings = [config.input_functions["learned"].deciding_settings() for config in (shown, hidden)]
        assert settings[0] == settings[1]

    def test_a_method_of_another_package_has_its_own_options(self, tmp_path: Path) -> None:
        class ToyOptions(Options):
            height: float = 1.0

        METHODS.register(Method("toy", "Toy", ToyOptions, lambda scan, recordings, options: None))
        try:
            options = load_study(study_file(tmp_path, input_functions={"toy": {"height": 2}})).input_functions["toy"]
            assert options == ToyOptions(height=2.0)
            with pytest.raises(ConfigurationError, match="Did you mean 'height'"):
                load_study(study_file(tmp_path, input_functions={"toy": {"heigth": 2}}))
        finally:
            METHODS.unregister("toy")


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
        ({"select": {"of": ["1tcm", "2tcm"]}, "kinetics": [{"model": "1tcm"}]}, "no kinetic analysis '2tcm'"),
        ({"select": {"of": [FLAT["name"], "1tcm"]}, "kinetics": [FLAT, {"model": "1tcm"}]}, "different weights"),
        ({"select": {"of": ["suv", "1tcm"]}, "kinetics": [SUV, {"model": "1tcm"}]}, "no information criterion"),
        ({"regions": {"group": {}}}, "Did you mean 'groups'?"),
        ({"select": {"of": ["a", "b"], "criterium": "aic"}}, "Did you mean 'criterion'?"),
        ({"compare": [{"kind": "ratio", "session": ["a", "b"]}]}, "compare.0.session: unknown key"),
        ({"kinetics": [{"model": "1tcm", "settings": {}}]}, "kinetics.0: unknown key 'settings'"),
        ({"kinetics": [{"model": "1tcm", "name": "a/b"}]}, "kinetics.0.name: a name has the letters a to z"),
        ({"kinetics": [{"model": "1tcm", "name": ".."}]}, "does not begin with a dot"),
        ({"kinetics": [{"name": "a"}]}, "kinetics.0.model: it is needed"),
        ({"kinetics": ["1tcm"]}, "kinetics.0: keys and values belong here (got '1tcm')"),
        ({"kinetics": [{"model": "1tcm", "intervals": "maybe"}]}, "kinetics.0.intervals: Input should be a valid bool"),
        ({"kinetics": [{"model": "1tcm", "maps": "maybe"}]}, "kinetics.0.maps: Input should be a valid boolean"),
        ({"input_functions": {"arterial": {"delay": 3}}}, "input_functions.arterial.delay: unknown key"),
        ({"input_functions": {"arterial": {"delay": 3}}}, "Did you mean 'delay_s'?"),
        (
            {"input_functions": {"arterial": {"delay_s": "x"}}},
            "input_functions.arterial.delay_s: Input should be a val",
        ),
        ({"input_functions": {"arterial": 3}}, "input_functions.arterial: keys and values belong here (got 3)"),
        ({"input_functions": ["arterial"]}, "input_functions: keys and values belong here"),
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
    content = {
        "kinetic": 1,
        "compar": 2,
        "kinetics": [{"model": "patlak", "t_star": "auto", "maps": 3}, {"model": "1tcm", "nam": "x"}],
        "input_functions": {"arterail": {}, "arterial": {"delay": 3, "max_extrapolation": 2}, "population": {"x": 1}},
    }
    with pytest.raises(ConfigurationError) as fault:
        load_study(study_file(tmp_path, **content))
    for place in (
        "kinetic: unknown key",
        "compar: unknown key",
        "kinetics.0.t_star: ",
        "kinetics.0.maps: ",
        "kinetics.1.nam: unknown key 'nam'. Did you mean 'name'?",
        "input_functions.arterail: there is no input-function method",
        "input_functions.arterial.delay: unknown key",
        "input_functions.arterial.max_extrapolation: Input should be less than 1 (got 2).",
        "input_functions.population.x: unknown key",
    ):
        assert place in str(fault.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="dlif init"):
        load_study(tmp_path / "absent.yaml")


def test_a_digest_that_is_all_digits_must_be_quoted(tmp_path: Path) -> None:
    digest = "12345678" * 8
    for written, is_taken in ((digest, False), (f'"{digest}"', True)):
        path = tmp_path / "study.yaml"
        path.write_text(f"{{name: a, data: ., output: out, input_functions: {{learned: {{digest: {written}}}}}}}")
        if is_taken:
            options = load_study(path).input_functions["learned"]
            assert options.model_dump()["digest"] == digest
        else:
            with pytest.raises(ConfigurationError, match=r"input_functions.learned.digest: .* put it in quotes"):
                load_study(path)
