"""Progress bars: on standard error, one a name, made when first used."""

from types import SimpleNamespace

import pytest

from flows import progress
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


def test_without_a_terminal_lines_tell_how_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line every half minute while the work lasts, with the time left."""
    clock = iter([0.0, 10.0, 31.0, 40.0, 62.0, 99.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with progress_bars() as bars:
        for done in range(1, 6):
            bars.update("training", done, 5, note="[rmse] 0.3")
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training:")]
    assert [line.split(",")[0] for line in lines] == ["training: 3 of 5"]
    assert "left ([rmse] 0.3)" in lines[0]
