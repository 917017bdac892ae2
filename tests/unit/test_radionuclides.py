"""Radionuclides by the spellings that files and people have."""

import pytest

from dlif_core.errors import InputError
from dlif_core.radionuclides import HALF_LIFE_TOLERANCE, HALF_LIVES, half_life, nuclide, nuclides_of


@pytest.mark.parametrize("name", ["C11", "11C", "C-11", "[11C]", "c11", " 11c "])
def test_half_life_of_any_spelling(name: str) -> None:
    assert half_life(name) == HALF_LIVES["C11"] == 1221.84


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("^94m^Technetium", "Tc94m"), ("Tc-94m", "Tc94m"), ("94mTc", "Tc94m"), ("52mMn", "Mn52m"), ("52mn", "Mn52")),
        *(("64Cu-DOTATATE", "Cu64"), ("64CU", "Cu64"), ("11CUMI", "C11"), ("11C-Co", "C11"), ("[11C]PK11195", "C11")),
        *(("68Ga-PSMA-11", "Ga68"), ("L-[1-11C]leucine", "C11"), ("H2[15O]", "O15"), ("13NH3", "N13")),
        *(("68-Gallium", "Ga68"), ("89Zr-trastuzumab", "Zr89"), ("C-B1038", "O15"), ("40565003", "C11")),
        *(("Pb212", "Pb212"), ("fluoride", ""), ("F18, Ga68", ""), ("", ""), ("18", "")),
    ],
)
def test_a_nuclide_is_found_in_what_names_it(text: str, name: str) -> None:
    assert nuclide(text) == name


#: Half-lives [s] of ICRP Publication 107 (Ann ICRP 2008;38(3)), which was made from other evaluations.
ICRP = {
    **{"O14": 70.606, "O15": 122.24, "N13": 597.9, "C11": 1223.4, "F18": 6586.2, "Na22": 82107966.0, "K38": 458.16},
    **{"Sc43": 14007.6, "Sc44": 14292.0, "Ti45": 11088.0, "Mn51": 2772.0, "Mn52": 483062.4, "Mn52m": 1266.0},
    **{"Fe52": 29790.0, "Co55": 63108.0, "Cu60": 1422.0, "Cu61": 11998.8, "Cu62": 580.38, "Cu64": 45720.0},
    **{"Ga66": 34164.0, "Ga68": 4062.6, "Ge68": 23410080.0, "As72": 93600.0, "Br75": 5802.0, "Br76": 58320.0},
    **{"Rb82": 76.38, "Y86": 53064.0, "Y90": 230760.0, "Zr89": 282276.0, "Tc94m": 3120.0, "I124": 360806.4},
    **{"Tb152": 63000.0},
}


def test_half_lives_are_those_of_another_table() -> None:
    assert ICRP.keys() == HALF_LIVES.keys()
    for name, seconds in ICRP.items():
        assert abs(HALF_LIVES[name] / seconds - 1) < HALF_LIFE_TOLERANCE
        assert name in nuclides_of(seconds)


def test_no_half_life_in_another_unit_is_that_of_another_nuclide() -> None:
    for name in ("C11", "F18", "Ga68", "Cu64", "Zr89", "N13", "O15"):
        for unit in (60.0, 3600.0):
            assert nuclides_of(HALF_LIVES[name] / unit) == ()


@pytest.mark.parametrize("name", ["", "C", "11", "Xx99", None, 11])
def test_what_is_no_radionuclide_is_refused(name: object) -> None:
    with pytest.raises(InputError, match="not a radionuclide that dlif knows") as caught:
        half_life(name)
    assert "F18" in caught.value.hint
