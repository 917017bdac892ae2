"""Radionuclides by the spellings that files and people have."""

import pytest

from dlif_core.errors import InputError
from dlif_core.radionuclides import HALF_LIVES, half_life


@pytest.mark.parametrize("name", ["C11", "11C", "C-11", "[11C]", "c11", " 11c "])
def test_half_life_of_any_spelling(name: str) -> None:
    assert half_life(name) == HALF_LIVES["C11"] == 1221.84


@pytest.mark.parametrize("name", ["", "C", "11", "Xx99", None, 11])
def test_what_is_no_radionuclide_is_refused(name: object) -> None:
    with pytest.raises(InputError, match="not a radionuclide that dlif knows") as caught:
        half_life(name)
    assert "F18" in caught.value.hint
