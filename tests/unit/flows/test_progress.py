"""Progress bars: on standard error, one a name, made when first used."""

import pytest

from flows.progress import progress_bars


def test_bars_are_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as bars:
        bars.update("ingest", 0, 4)
        bars.advance("ingest")
        bars.update("maps", 2, 3, note="slow [scan] 2")
        bars.write("a line above")
    shown = capsys.readouterr()
    assert shown.out == ""
    ingest, maps = (
        next(line for line in shown.err.splitlines() if line.startswith(name)) for name in ("ingest", "maps")
    )
    assert "1/4" in ingest
    assert "2/3" in maps
    assert "slow [scan] 2" in maps
    assert "a line above" in shown.err


def test_nothing_is_shown_without_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="early"), progress_bars():
        raise ValueError("early")
    assert capsys.readouterr() == ("", "")
