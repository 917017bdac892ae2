"""Options of sbatch: what Slurm takes is taken, and what it would refuse or take for something else is not."""

from collections.abc import Callable

import pytest

from dlif_core.compute import sbatch

SOUND: list[tuple[Callable[[str], str], tuple[str, ...]]] = [
    (sbatch.time_limit, ("90", "30:00", "4:00:00", "1-12", "1-12:30", "1-12:30:00", "UNLIMITED")),
    (sbatch.memory, ("800M", "4G", "4g", "500000K", "1T", "0")),
    (sbatch.name, ("long", "gpu-2,long", "user@lab", "täst", "00123")),
    (sbatch.node_folder, ("/scratch", "/scratch/$USER", "$TMP", "/scratch/${SLURM_JOB_ID}")),
    (
        sbatch.directive,
        ("--constraint=avx2", "-C avx2", "--qos long", "--comment='a b'", "--time-min=10", "--mail-type=END", "-x n1"),
    ),
]
WRONG: list[tuple[Callable[[str], str], tuple[str, ...], str]] = [
    (
        sbatch.time_limit,
        ("1d", "1h", "", "1:2:3:4", "1-", "-5", "1-2:3:4:5", "4:00:00\n", "1.5", "٣", "4 h", "1:00:00\nrm"),
        "write 90",
    ),
    (sbatch.memory, ("8", "8 G", "8GB", "1.5G", "-8G", "much", "0G", "", "8G\n"), "write 800M"),
    (sbatch.name, ("-x", "a b", "", "a\n", "a;rm", "$HOME", "a'b"), "write letters"),
    (sbatch.node_folder, ("scratch", "~/scratch", "/a b", "/a;rm", "/$(rm)", "/`rm`", '/"', "/a\nrm", ""), "/scratch"),
    (sbatch.directive, ("avx2", "", " ", "-", "--", "--comment='a", "-C a\n--wrap=b"), "--constraint=avx2"),
    (
        sbatch.directive,
        (
            "--output=x",
            "--outp x",
            "-o x",
            "-ox",
            "--wrap=rm",
            "-C a --wrap rm",
            "--array=1",
            "-a1",
            "-J x",
            "--wait",
            "-Hd x",
            "-kJx",
            "-h",
            "-V",
            "--help",
        ),
        "dlif sets",
    ),
    (
        sbatch.directive,
        (
            "--time=1",
            "-t 1",
            "--mem=4G",
            "--mem-per-cpu=4G",
            "--mem-per-gpu=4G",
            "-p x",
            "-Qpx",
            "-sc8",
            "--part=x",
            "-A x",
        ),
        "setting",
    ),
]


@pytest.mark.parametrize(("check", "text"), [(check, text) for check, texts in SOUND for text in texts])
def test_what_slurm_takes_is_taken(check: Callable[[str], str], text: str) -> None:
    assert check(text) == text


@pytest.mark.parametrize(
    ("check", "text", "told"), [(check, text, told) for check, texts, told in WRONG for text in texts]
)
def test_what_is_none_is_refused_with_what_to_write(check: Callable[[str], str], text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check(text)


@pytest.mark.parametrize(("text", "is_one"), [("a\u00a0b\u3000ü€\u200b", True), ("a\nb", False), ("a\x7f", False)])
def test_only_control_characters_are_no_part_of_a_line(text: str, is_one: bool) -> None:
    assert sbatch.is_line(text) is is_one
    assert not sbatch.is_line(f"{text}\udcff")
