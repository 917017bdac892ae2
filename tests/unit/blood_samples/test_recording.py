"""Recordings hold one number for each time, or are refused."""

import numpy as np
import pytest

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import BloodError


def test_a_recording_is_a_copy_in_numbers() -> None:
    time = np.array([1, 2])
    recording = BloodRecording("manual", True, time, whole_blood=[3, float("nan")])
    time[:] = 0
    assert recording.time.tolist() == [1.0, 2.0]
    assert np.isnan(recording.whole_blood).tolist() == [False, True]


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"time": None}, "column time"),
        ({"time": 5.0}, "column time has 1 values"),
        ({"time": [[1.0, 2]]}, "column time has 2 values"),
        ({"time": ["early", "late"]}, "column time does not hold numbers"),
        ({"whole_blood": [1.0]}, "column whole_blood has 1 values for 2 times"),
        ({"plasma": [[1.0], [1.0, 2]]}, "column plasma does not hold numbers"),
        ({"parent_fraction": 0.5}, "column parent_fraction has 1 values for 2 times"),
    ],
)
def test_what_is_no_column_is_refused(columns: dict[str, object], word: str) -> None:
    given = {"time": [1.0, 2.0]} | columns
    with pytest.raises(BloodError, match=word) as caught:
        BloodRecording("manual", True, source="blood.tsv", **given)
    assert caught.value.where == "blood.tsv"
    assert caught.value.hint
