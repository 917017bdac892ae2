"""Every kinetic model has its page, and the page says what the registry says."""

from pathlib import Path

import pytest

from dlif_core.kinetics import MODELS

PAGES = Path(__file__).parents[3] / "docs" / "models"
HEADINGS = ["Formula", "Convention", "Parameters", "When to use it", "Source"]


def rows(page: str) -> dict[str, list[str]]:
    """Rows of the table of parameters by the name in their first cell."""
    table = page.split("## Parameters")[1].split("## ")[0]
    lines = (line for line in table.splitlines() if line.startswith("|"))
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in cells[2:]}


@pytest.mark.parametrize("name", MODELS)
def test_the_page_of_a_model_has_its_parameters(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")] == HEADINGS
    found = rows(page)
    stated = {parameter.name: parameter.units for parameter in MODELS[name].parameters}
    assert {parameter: found[parameter][1] for parameter in stated} == stated


def test_there_is_no_page_without_a_model() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(MODELS)
