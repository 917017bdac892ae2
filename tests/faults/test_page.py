"""The page on reliability tells what was found, and nothing else."""

from tests.faults.faults import FAULTS
from tests.faults.results import PAGE, read, table


def test_the_table_of_the_page_is_that_of_the_results() -> None:
    assert table(read()) in PAGE.read_text()


def test_every_result_is_of_a_fault_in_the_table() -> None:
    assert {one.fault for one in read()} <= set(FAULTS)
