"""Options of ``sbatch`` as people write them: what Slurm would refuse, or take for something else, is refused."""

from __future__ import annotations

import re
import shlex
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

_TIME = re.compile(r"[0-9]+(?:(?::[0-9]+){0,2}|-[0-9]+(?::[0-9]+){0,2})|infinite|unlimited", re.IGNORECASE)
_MEMORY = re.compile(r"0|[1-9][0-9]*[KMGT]", re.IGNORECASE)
_NAME = re.compile(r"\w[\w.,+@:-]*")
_FOLDER = re.compile(r"[/$][\w./${}@+:=-]*")

#: Options that have a setting of their own, with the letter that means the same.
_SETTINGS = {
    "time": "t",
    "partition": "p",
    "account": "A",
    "cpus-per-task": "c",
    "cpus-per-gpu": "",
    "mem": "",
    "mem-per-cpu": "",
    "mem-per-gpu": "",
}
#: Options on which scripts and their submission rest.
_FIXED = {
    "array": "a",
    "dependency": "d",
    "help": "h",
    "job-name": "J",
    "kill-on-invalid-dep": "",
    "open-mode": "",
    "output": "o",
    "parsable": "",
    "test-only": "",
    "usage": "",
    "version": "V",
    "wait": "W",
    "wrap": "",
}

#: Letters that take no value, so that another option may follow in the same word.
_FLAGS = "HIOQksv"


def is_line(text: str) -> bool:
    """Whether a text can stand in a line of a script: it has no control characters, and can be written as UTF-8."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)


def time_limit(text: str) -> str:
    """A time as ``sbatch`` reads it; ValueError if it is none."""
    return _required(
        _TIME, text, "is no time of Slurm: write 90 (minutes), 30:00, 4:00:00, 1-12, 1-12:30 or 1-12:30:00"
    )


def memory(text: str) -> str:
    """An amount of memory with its unit, as ``sbatch`` reads it; ValueError if it is none."""
    return _required(_MEMORY, text, "is no memory with its unit: write 800M or 4G (0 is all that a node has)")


def name(text: str) -> str:
    """Name of a partition, an account or a network; ValueError if it can't be one."""
    return _required(_NAME, text, "is no name: write letters, digits and . , _ + @ : - without spaces, no - in front")


def node_folder(text: str) -> str:
    """A folder that the shell of a node reads; ValueError if it can't be one."""
    return _required(
        _FOLDER, text, "is no folder of a node: write a path from / on, or a variable, such as /scratch/$USER"
    )


def _required(pattern: re.Pattern[str], text: str, otherwise: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} {otherwise}")
    return text


def directive(text: str) -> str:
    """Further options of ``sbatch``; ValueError if it is none, or one that dlif sets."""
    try:
        words = shlex.split(text) if is_line(text) else []
    except ValueError:  # a quotation mark without its other
        words = []
    if not words or not re.match(r"--?[A-Za-z]", words[0]):
        raise ValueError(f"{text!r} is no option of sbatch: write --constraint=avx2, for instance")
    for word in words:
        if _means(word, _SETTINGS):
            raise ValueError(f"{word!r} is no further option: there is a setting of its own for it")
        if _means(word, _FIXED):
            raise ValueError(f"{word!r} can't be given: dlif sets this option itself, or needs it as it is")
    return text


def _means(word: str, options: dict[str, str]) -> bool:
    """Whether a word is one of some options; ``sbatch`` also takes the beginning of a name for the whole."""
    if word.startswith("--"):
        given = word[2:].partition("=")[0]
        return bool(given) and any(option.startswith(given) for option in options)
    letter = word[1:].lstrip(_FLAGS)[:1] if word.startswith("-") else ""
    return letter in {one for one in options.values() if one}


#: Settings of profiles.
Name = Annotated[str, AfterValidator(name)]
Directive = Annotated[str, AfterValidator(directive)]
NodeFolder = Annotated[str, AfterValidator(node_folder)]
