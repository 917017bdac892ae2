"""Tables of PMOD with known values."""

import json
from pathlib import Path

FIELDS = {"TracerName": "FDG", "TracerRadionuclide": "F18", "ImageDecayCorrected": True, "ImageDecayCorrectionTime": 0}
TAC = "start[seconds]\tend[kBq/cc]\tliver\tbrain left\n0\t30\t1.5\t2\n30\t90\t2.5\t3\n90\t690\t3.5\t4\n"
WHOLE = "sample-time[seconds]\twhole-blood[kBq/cc]\n0\t0\n10\t20\n60\t10\n600\t4\n"
PLASMA = "sample-time[minutes]\tplasma[Bq/cc]\n0\t0\n1\t11000\n10\t5000\n"
PARENT = "time[minutes]\tparent-fraction[1/1]\n0\t1\n1\t0.9\n10\t0.5\n"


def write_pmod(root: Path, stem: str = "mouse", tac: str = TAC, blood: bool = True) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{stem}.tac"
    path.write_text(tac)
    (root / f"{stem}.json").write_text(json.dumps(FIELDS))
    if blood:
        for name, content in (("wb", WHOLE), ("plasma", PLASMA), ("parent", PARENT)):
            (root / f"{stem}_{name}.bld").write_text(content)
    return path
