"""The page of the documentation on checks, made from the table: ``python -m dlif_core.checks.page``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dlif_core.checks.check import LOST, Check, Level, Part
from dlif_core.checks.registry import GROUPS

_HEAD = """\
# Checks of data

<!-- Made by `make docs` from dlif_core/checks; changes here are lost. -->

Every scan is checked before it is used, and so are the results. Checks follow from physics and physiology, and from
what files say about themselves; they hold whatever the method. `dlif check study.yaml` (or a folder) shows what they
find, before anything is computed; so do the reports of scans and of the cohort, `findings.tsv` of the cohort, and
`dlif.check` in a notebook.

What a check finds has a level:

{levels}

It is about a part of the scan, which is withheld if the finding is *refused*, or *doubtful* and not accepted:

{parts}

If doubtful data are right, accept the check by name in the study file (`dlif.open_scan` and the like have the same as
an argument). Then the data are used, and the reports go on to show the doubt:

```yaml
accept: [scan-too-short]
```
"""

_LEVELS = {
    Level.REPAIRED: "a fault was mended, and the data are as they should have been.",
    Level.ASSUMED: "something is missing, and the usual case was taken.",
    Level.DOUBTFUL: "the data are hardly possible. They are not used unless the study accepts the check.",
    Level.REFUSED: "the data can't be used.",
}


#: What Markdown would take for markup in a cell.
_SPECIAL = re.compile(r"[|*]")


def checks_page() -> str:
    """The page as Markdown."""
    levels = "\n".join(f"- **{level}**: {meaning}" for level, meaning in _LEVELS.items())
    parts = "\n".join(f"- **{part}**: {LOST[part]}." for part in Part)
    sections = "\n".join("\n".join(_section(title, checks)) for title, checks in GROUPS.items())
    return f"{_HEAD.format(levels=levels, parts=parts)}\n{sections}"


def _section(title: str, checks: Iterable[Check]) -> Iterator[str]:
    yield from (f"## {title}", "", "| check | level | part | what must hold | if it doesn't |", "|---|---|---|---|---|")
    for check in checks:
        cells = (f"`{check.name}`", check.level, check.part, check.tests, check.remedy)
        yield f"| {' | '.join(_SPECIAL.sub(_escaped, cell) for cell in cells)} |"
    yield ""


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


if __name__ == "__main__":
    print(checks_page(), end="")
