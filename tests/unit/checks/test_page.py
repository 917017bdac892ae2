"""The page of checks is what the table says; `make docs` writes it."""

from pathlib import Path

from dlif_core.checks import CHECKS
from dlif_core.checks.page import checks_page

PAGE = Path(__file__).parents[3] / "docs" / "checks.md"


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == checks_page()


def test_every_check_is_on_the_page_with_its_level_and_remedy() -> None:
    rows = {line.split("|")[1].strip(" `"): line for line in checks_page().splitlines() if line.startswith("| `")}
    assert set(rows) == set(CHECKS)
    for name, check in CHECKS.items():
        assert f"| {check.level} | {check.part} |" in rows[name]
        assert rows[name].replace("\\", "").endswith(f"| {check.remedy} |")


def test_every_check_says_what_must_hold_and_what_to_do_in_sentences() -> None:
    for check in CHECKS.values():
        for text in (check.tests, check.remedy):
            assert text.endswith("."), check.name
            assert text[0].isupper(), check.name
