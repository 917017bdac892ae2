"""Names of labels in the tables of other programs, written here as those programs lay them out."""

from pathlib import Path

import pytest

from dlif_core.errors import InputError
from dlif_core.ingest.label_names import label_names

TABLES = {
    "sub-01_dseg.tsv": "index\tname\tcolor\n7\tcortex\t#ff0000\n614454277\tleft striatum\t#00ff00\n",
    "labels.label": (
        "################\n# ITK-SnAP Label Description File\n# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n"
        '    0     0    0    0        0  0  0    "Clear Label"\n'
        '    7   255    0    0        1  1  1    "cortex"\n614454277     0  255    0     0.5  1  0    "left striatum"\n'
    ),
    "LUT.txt": (
        "#$Id: FreeSurferColorLUT.txt $\n\n#No. Label Name:                            R   G   B   A\n\n"
        "0   Unknown                                 0   0   0   0\n7   cortex       70  130 180 0\n"
        "614454277\tleft-striatum\t245 245 245 0\n"
    ),
    "structures.csv": (
        'id,atlas_id,name,acronym,structure_id_path\n7,1,cortex,CTX,/997/7/\n614454277,2,"left striatum",STR,/997/\n'
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_layout_gives_the_same_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(TABLES[name])
    found = label_names([str(path)])
    assert found[7] == "cortex"
    assert found[614454277].replace("-", " ") == "left striatum"


def test_a_name_may_hold_commas_and_acronyms_serve_without_names(tmp_path: Path) -> None:
    path = tmp_path / "structures.csv"
    path.write_text('id,name\n5,"Somatomotor areas, layer 1"\n')
    assert label_names([str(path)]) == {5: "Somatomotor areas, layer 1"}
    path.write_text("acronym,id\nMO1,5\n")
    assert label_names([str(path)]) == {5: "MO1"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("7 cortex 70 130 180 0\n8 white matter 1 2 3 0\n", "line 2 is not like the others"),
        ('1 255 0 0 1 1 1 "a"\n2 255 0 0 1 1 1 b\n', "ITK-SNAP"),
        ("number,title\n3,cortex\n", "no column `id`"),
        ("id,name\n3,motor, layer 1\n", "data row 1"),
        ("id,name\n3.5,motor\n", "data row 1"),
        ("just a text\n", "no table of names"),
        ("index\ttitle\n3\tcortex\n", "column 'name' is missing"),
        ("7 cortex 70 130 180 0\n7 liver 70 130 180 0\n", "label 7 has two names, 'cortex' and 'liver'"),
        ("", "empty"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=words) as fault:
        label_names([str(path)])
    assert fault.value.where == str(path)
    assert fault.value.hint
