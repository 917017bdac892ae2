"""Names of species."""

import pytest

from dlif_core.scan import Acquisition
from dlif_core.species import species_name, species_of


@pytest.mark.parametrize(
    ("text", "species"),
    [
        *(("mouse", "mouse"), ("Mus musculus", "mouse"), (" HOMO  sapiens ", "human"), ("rattus_norvegicus", "rat")),
        *(("mus musculus", "mouse"), ("Mice", "mouse"), ("House mouse", "mouse"), ("MOUSE", "mouse")),
        *(("rhesus macaque", "rhesus macaque"), ("minipig", "minipig")),
        *(("Mus musculus domesticus", "mouse"), ("Homo sapiens sapiens", "human"), ("Rattus norvegicus", "rat")),
        *(("C57BL/6 mouse", "mouse"), ("c57bl/6j", "mouse"), ("C57BL6N mice", "mouse"), ("mouse (C57BL/6)", "mouse")),
        *(("BALB/c", "mouse"), ("BALB-c nude mouse", "mouse"), ("nude mouse", "mouse"), ("Swiss nude mice", "mouse")),
        *(("Mus musculus, BALB/c", "mouse"), ("Sprague-Dawley rat", "rat"), ("Wistar", "rat"), ("nude rat", "rat")),
        *(("patient", "human"), ("Patients", "human"), ("human volunteer", "human"), ("healthy volunteers", "human")),
        *(("C57BL/6 rat", ""), ("nude", ""), ("BALB/c of Jane", ""), ("patient Jane Doe", ""), ("volunteer mouse", "")),
        *(("Jane Doe", ""), ("mouse of Jane", ""), ("human, rat", ""), ("", "")),
    ],
)
def test_species_are_those_that_are_known(text: str, species: str) -> None:
    assert species_of(text) == species


def test_a_species_that_is_not_known_is_compared_by_its_text() -> None:
    assert species_name("Naked  Mole_Rat") == "naked mole rat"


@pytest.mark.parametrize("text", ["Mus musculus", "mus_musculus", "Mouse", "mice", "house mouse"])
def test_a_scan_has_the_common_name_of_its_species(text: str) -> None:
    assert Acquisition("FDG", 6586.2, species=text).species == "mouse"
