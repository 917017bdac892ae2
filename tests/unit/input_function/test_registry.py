"""The registry of methods: light to import, every method with a title and options."""

import subprocess
import sys

import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.input_function import METHODS, deciding_facts, estimate
from tests.unit.input_function.test_arterial import manual, scan


def test_importing_it_is_light() -> None:
    heavy = ("torch", "scipy.optimize", "scipy.ndimage", "pandas", "xarray")
    code = f"import dlif_core.input_function, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_title_and_says_whether_it_has_defaults(method: str) -> None:
    assert METHODS[method].name == method
    assert METHODS[method].title
    assert METHODS[method].has_defaults == (method != "from-file")
    if METHODS[method].has_defaults:
        assert METHODS[method].parse({}) == METHODS[method].options()
    else:
        with pytest.raises(ConfigurationError, match="it is needed"):
            estimate(method, scan(), ())


def test_unknown_options_are_refused_with_the_nearest_valid_one() -> None:
    with pytest.raises(ConfigurationError, match=r"'parent_fractoin'\. Did you mean 'parent_fraction'\?") as fault:
        METHODS["arterial"].parse({"parent_fractoin": "hill"})
    assert fault.value.where == "input_functions, arterial"
    with pytest.raises(ConfigurationError, match=r"parent_fraction: .*\(got 'hyll'\)\. max_extrapolation: .*\(got 3\)"):
        METHODS["arterial"].parse({"parent_fraction": "hyll", "max_extrapolation": 3})


def test_unknown_methods_are_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match=r"no input-function method 'arteriel'\. Did you mean 'arterial'\?"):
        estimate("arteriel", scan(), ())
    with pytest.raises(ConfigurationError, match=r"no input-function method 'arteriel'\. Did you mean 'arterial'\?"):
        deciding_facts("arteriel", METHODS["arterial"].options())


def test_options_of_another_method_are_refused() -> None:
    options = METHODS["population"].options()
    with pytest.raises(ConfigurationError, match="the options are PopulationOptions, not ArterialOptions"):
        estimate("arterial", scan(), (manual(),), options)
    with pytest.raises(ConfigurationError, match="the options are PopulationOptions, not ArterialOptions"):
        deciding_facts("arterial", options)
