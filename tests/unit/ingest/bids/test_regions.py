"""Region curves of a scan: from a label image, from a table, from the whole image, and groups of them."""

import math
from pathlib import Path

import numpy as np
import pytest

from dlif_core.errors import (
    CurveError,
    DlifError,
    FrameTimingError,
    ImageError,
    InputError,
    UnitError,
)
from dlif_core.ingest import find_scans
from dlif_core.ingest.bids.scan import open_scan
from tests.unit.ingest.bids.dataset import (
    AFFINE,
    curve_table,
    make_dataset,
    write,
    write_curves,
    write_image,
)
from tests.unit.ingest.bids.opening import ACTIVITY, fault, ingest

LABELS = np.zeros((3, 4, 5), dtype=np.int16)
LABELS[0], LABELS[1, :2], LABELS[2, 3, 4] = 4, 9, 300


class TestRegions:
    def write_labels(self, root: Path, labels: np.ndarray = LABELS, affine: np.ndarray = AFFINE) -> Path:
        folder = root / "derivatives" / "seg" / "sub-01"
        write(folder / "sub-01_dseg.tsv", "index\tname\n0\tBackground\n4\tliver\n9\tbrain\n300\ttumour\n")
        return write_image(folder / "sub-01_dseg.nii.gz", labels, affine=affine)

    def test_without_labels_the_whole_image_is_the_region(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        regions = ingest(tmp_path).scan.regions
        assert regions.names == ("whole image",)
        np.testing.assert_allclose(regions.activity[0], ACTIVITY.mean(axis=(1, 2, 3)))
        np.testing.assert_allclose(regions.volume, [60 * 24.0])

    def test_means_in_every_label(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        ingested = ingest(tmp_path)
        regions = ingested.scan.regions
        assert regions.names == ("liver", "brain", "tumour")
        for label, found in zip((4, 9, 300), regions.activity, strict=True):
            np.testing.assert_allclose(found, ACTIVITY[:, label == LABELS.T].mean(axis=1))
        np.testing.assert_allclose(regions.volume, np.array([20, 10, 1]) * 24.0)
        np.testing.assert_array_equal(ingested.scan.labels, LABELS.T)
        assert ingested.scan.label_names[9] == "brain"
        assert ingested.provenance["regions"]["made_from"] == "label image"

    def test_means_do_not_depend_on_the_slabs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dlif_core.ingest.regions._SLAB_VALUES", 100)
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        found = ingest(tmp_path).scan.regions.activity[1]
        np.testing.assert_allclose(found, ACTIVITY[:, LABELS.T == 9].mean(axis=1))

    def test_labels_of_nine_digits_keep_their_names(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        labels = np.zeros(LABELS.shape, np.uint32)
        labels[0], labels[1] = 614454277, 614454278
        path = self.write_labels(tmp_path, labels)
        write(path.with_name("sub-01_dseg.tsv"), "index\tname\n614454277\tcortex\n614454278\tstriatum\n")
        scan = ingest(tmp_path).scan
        assert scan.regions.names == ("cortex", "striatum")
        for label, found in zip((614454277, 614454278), scan.regions.activity, strict=True):
            np.testing.assert_allclose(found, ACTIVITY[:, label == labels.T].mean(axis=1))

    def test_labels_without_name_are_numbered_with_a_warning(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path).with_name("sub-01_dseg.tsv").unlink()
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("label-4", "label-9", "label-300")
        assert any("4, 9, 300" in warning for warning in ingested.warnings)

    def test_cells_without_a_name_name_no_label(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        table = "index\tname\n4\tn/a\n9\tbrain\n300\t\n"
        write(self.write_labels(tmp_path).with_name("sub-01_dseg.tsv"), table)
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("label-4", "brain", "label-300")
        assert any("4, 300" in warning for warning in ingested.warnings)

    def test_two_names_of_a_label_are_refused(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        table = "index\tname\n4\tliver\n9\tbrain\n300\ttumour\n4\tkidney\n"
        write(self.write_labels(tmp_path).with_name("sub-01_dseg.tsv"), table)
        fault(tmp_path, InputError, "label 4 has two names, 'liver' and 'kidney'", "sub-01_dseg.tsv")

    @pytest.mark.parametrize(
        ("labels", "shift", "word"),
        [
            (LABELS[:2], 0, "another grid"),
            (LABELS, 3, "another grid"),
            (LABELS + np.float32(0.5), 0, "whole numbers"),
            (0 * LABELS, 0, "all zero"),
        ],
    )
    def test_label_images_that_do_not_fit(self, tmp_path: Path, labels: np.ndarray, shift: float, word: str) -> None:
        make_dataset(tmp_path)
        affine = AFFINE.copy()
        affine[0, 3] += shift
        self.write_labels(tmp_path, labels, affine)
        fault(tmp_path, ImageError, word, "sub-01_dseg.nii.gz")

    def write_mask(self, root: Path, name: str, inside: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
        path = root / "derivatives" / "masks" / "sub-01" / "pet" / f"sub-01_{name}_mask.nii.gz"
        return write_image(path, inside.astype(np.uint8), affine=affine)

    def test_masks_are_regions(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        for label, name in ((4, "label-liver"), (9, "hemi-L_label-brain"), (300, "hemi-R_label-brain")):
            self.write_mask(tmp_path, name, label == LABELS)
        ingested = ingest(tmp_path)
        regions = dict(zip(ingested.scan.regions.names, ingested.scan.regions.activity, strict=True))
        expected = {"liver": 4, "hemi-L_label-brain": 9, "hemi-R_label-brain": 300}
        assert regions.keys() == expected.keys()
        volumes = dict(zip(ingested.scan.regions.names, ingested.scan.regions.volume, strict=True))
        for name, label in expected.items():
            np.testing.assert_allclose(regions[name], ACTIVITY[:, label == LABELS.T].mean(axis=1), rtol=1e-6)
            assert volumes[name] == pytest.approx(24 * (label == LABELS).sum())
            numbers = {number for number, called in ingested.scan.label_names.items() if called == name}
            assert set(np.unique(ingested.scan.labels[label == LABELS.T])) == numbers
        assert not ingested.scan.labels[LABELS.T == 0].any()
        assert ingested.provenance["regions"]["made_from"] == "masks"
        assert ingested.warnings == ()

    def test_a_label_image_is_no_mask(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_mask(tmp_path, "desc-brain", LABELS)
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("whole image",)
        assert any("so it is no mask" in finding.message for finding in ingested.findings)
        assert any("*_dseg.nii.gz" in finding.remedy for finding in ingested.findings)

    def test_masks_may_overlap_and_it_is_told(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_mask(tmp_path, "desc-brain", LABELS > 0)
        self.write_mask(tmp_path, "label-liver", LABELS == 4)
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("brain", "liver")
        for curve, inside in zip(ingested.scan.regions.activity, (LABELS > 0, LABELS == 4), strict=True):
            np.testing.assert_allclose(curve, ACTIVITY[:, inside.T].mean(axis=1), rtol=1e-6)
        assert ingested.scan.labels is None
        assert ingested.warnings == ("Masks overlap: brain and liver.",)

    @pytest.mark.parametrize(
        ("inside", "shift", "word"),
        [(LABELS[:2] > 0, 0, "another grid"), (LABELS > 0, 3, "another grid"), (LABELS < 0, 0, "all zero")],
    )
    def test_a_mask_that_does_not_serve_is_left_out(
        self, tmp_path: Path, inside: np.ndarray, shift: float, word: str
    ) -> None:
        make_dataset(tmp_path)
        affine = AFFINE.copy()
        affine[0, 3] += shift
        self.write_mask(tmp_path, "label-liver", inside, affine)
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("whole image",)
        assert [finding.check for finding in ingested.findings] == ["files-left-out"]
        assert word in ingested.warnings[0]

    def test_that_only_the_whole_image_serves_is_told(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        (files,) = find_scans(str(tmp_path))
        with open_scan(files) as ingested:
            assert [finding.check for finding in ingested.findings] == ["whole-image"]

    def test_a_label_image_goes_before_masks(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        self.write_mask(tmp_path, "label-rest", LABELS == 0)
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("liver", "brain", "tumour")
        assert [finding.check for finding in ingested.findings] == ["files-left-out"]

    def test_the_label_image_goes_before_the_table(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4]))
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("liver", "brain", "tumour")
        assert any("is not used" in warning for warning in ingested.warnings)

    def test_a_table_serves_without_label_image(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path, {"ImageDecayCorrectionTime": 6586.2})
        write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4], bone=[1, 2, 3, -4]))
        write_curves(tmp_path, "name\tvolume-mm3\nliver\t30\n", "sub-01_desc-seg_morph.tsv")
        (pet / "sub-01_pet.nii.gz").unlink()
        ingested = ingest(tmp_path)
        assert ingested.scan.activity is None
        assert ingested.header == b""
        np.testing.assert_allclose(ingested.scan.regions.activity, [[2e3, 4e3, 6e3, 8e3], [2e3, 4e3, 6e3, -8e3]])
        np.testing.assert_array_equal(ingested.scan.regions.volume, [30, np.nan])
        assert any("taken to be in kBq/mL" in warning for warning in ingested.warnings)

    def test_the_table_states_its_own_units(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        table = "frame_start\tframe_end\tliver\n0\t0.16666667\t1\n.16666667\t.5\t2\n.5\t1\t3\n1\t3\t4\n"
        path = write_curves(tmp_path, table)
        minutes = {"Units": "min"}
        write(path.with_suffix(".json"), {"Units": "Bq/mL", "frame_start": minutes, "frame_end": minutes})
        ingested = ingest(tmp_path)
        np.testing.assert_allclose(ingested.scan.regions.activity, [[1, 2, 3, 4]])
        assert ingested.warnings == ()

    @pytest.mark.parametrize(
        ("headers", "sidecar"),
        [
            (("liver", "brain"), {"liver": {"Units": "kBq/mL"}, "brain": {"Units": "Bq/mL"}}),
            (("liver [kBq/mL]", "brain [Bq/mL]"), {}),
            (("liver (kBq/ml)", "brain"), {"Brain": {"Units": "Bq/mL"}}),
            (("liver", "brain [Bq/mL]"), {"LIVER": {"Units": "KBQ/ML"}, "brain": {"Units": "Bq/cc"}}),
        ],
    )
    def test_each_column_has_its_own_unit(
        self, tmp_path: Path, headers: tuple[str, str], sidecar: dict[str, object]
    ) -> None:
        make_dataset(tmp_path)
        table = curve_table(liver=[1, 2, 3, 4], brain=[1000, 2000, 3000, 4000])
        path = write_curves(tmp_path, table.replace("liver\tbrain", "\t".join(headers)))
        write(path.with_suffix(".json"), sidecar)
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("liver", "brain")
        np.testing.assert_allclose(ingested.scan.regions.activity, [[1e3, 2e3, 3e3, 4e3]] * 2)
        assert ingested.warnings == ()

    @pytest.mark.parametrize(
        ("header", "sidecar", "word"),
        [
            ("liver", {"brain": {"Units": "Bq/mL"}}, "1 of 2 regions, not for liver"),
            ("liver [kBq/mL]", {"Units": "Bq/mL"}, "several units"),
            ("liver [kBq/mL]", {"liver": {"Units": "Bq/mL"}}, "several units"),
            ("liver", {"liver": {"Units": "counts"}, "brain": {"Units": "Bq/mL"}}, "'counts' is not a known unit"),
        ],
    )
    def test_units_that_say_too_little_or_too_much_are_refused(
        self, tmp_path: Path, header: str, sidecar: dict[str, object], word: str
    ) -> None:
        make_dataset(tmp_path)
        table = curve_table(liver=[1, 2, 3, 4], brain=[1000, 2000, 3000, 4000])
        path = write_curves(tmp_path, table.replace("liver", header))
        write(path.with_suffix(".json"), sidecar)
        fault(tmp_path, UnitError, word)

    def test_numbered_columns_get_their_names(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, curve_table(**{"4": [1, 2, 3, 4], "9": [1, 2, 3, 4]}))
        write_curves(tmp_path, "index\tname\n4\tliver\n", "sub-01_desc-seg_dseg.tsv")
        assert ingest(tmp_path).scan.regions.names == ("liver", "9")

    def test_regions_that_are_not_finite_are_dropped_with_a_warning(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4], brain=[1, math.nan, 3, 4]))
        ingested = ingest(tmp_path)
        assert ingested.scan.regions.names == ("liver",)
        assert any("left out: brain" in warning for warning in ingested.warnings)

    @pytest.mark.parametrize(
        ("table", "kind", "word"),
        [
            (
                curve_table(liver=[1, 2, 3, 4]).replace("60.0\t180.0", "60.0\t190.0"),
                FrameTimingError,
                "frame 4 is 60 to 190",
            ),
            ("frame_start\tframe_end\tliver\n0\t10\t1\n", FrameTimingError, "1 frames, the scan 4"),
            (curve_table(liver=[math.nan] * 4), CurveError, "no region"),
            (curve_table(), CurveError, "no region"),
            ("start\tend\tliver\n0\t10\t1\n", InputError, "'frame_start' and 'frame_end' is missing"),
        ],
    )
    def test_bad_tables(self, tmp_path: Path, table: str, kind: type[DlifError], word: str) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, table)
        fault(tmp_path, kind, word, "sub-01_desc-seg_tacs.tsv")

    def test_several_tables_ask_for_a_choice(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        for name in ("seg", "wm"):
            write_curves(tmp_path, curve_table(liver=[1, 2, 3, 4]), f"sub-01_desc-{name}_tacs.tsv")
        fault(tmp_path, InputError, "desc-seg_tacs.tsv", "desc-wm_tacs.tsv", "`curves`")

    def test_groups_are_volume_weighted_means(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        self.write_labels(tmp_path)
        groups = {"soft": ("li*", "brain"), "none": ("kidney*",), "lesion": ("tumour", "bone")}
        ingested = ingest(tmp_path, groups)
        regions = ingested.scan.regions
        assert regions.names == ("soft", "lesion", "liver", "brain", "tumour")
        inside = (LABELS.T == 4) | (LABELS.T == 9)
        np.testing.assert_allclose(regions.activity[0], ACTIVITY[:, inside].mean(axis=1))
        np.testing.assert_allclose(regions.volume[:2], [30 * 24, 24])
        assert [w for w in ingested.warnings if "matches no region" in w] == [
            "Region group 'none': 'kidney*' matches no region.",
            "Region group 'lesion': 'bone' matches no region.",
        ]

    def test_a_group_without_volumes_is_a_plain_mean_with_a_warning(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, curve_table(a=[1, 1, 1, 1], b=[3, 3, 3, 3]))
        ingested = ingest(tmp_path, {"both": ("*",)})
        np.testing.assert_allclose(ingested.scan.regions.activity[0], 2000)
        assert any("plain mean" in warning for warning in ingested.warnings)

    def test_volumes_that_no_region_has_are_told_and_weigh_nothing(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write_curves(tmp_path, curve_table(a=[1, 1, 1, 1], b=[3, 3, 3, 3], c=[9, 9, 9, 9]))
        write_curves(tmp_path, "name\tvolume-mm3\na\t0\nb\t40\nc\t-5\n", "sub-01_desc-seg_morph.tsv")
        ingested = ingest(tmp_path, {"all": ("a", "b", "c")})
        np.testing.assert_allclose(ingested.scan.regions.activity[0], 1e3 * 13 / 3)
        np.testing.assert_array_equal(ingested.scan.regions.volume, [np.nan, np.nan, 40, np.nan])
        assert any("not above zero" in warning and "a, c" in warning for warning in ingested.warnings)

    def test_a_group_must_not_take_the_name_of_a_region(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        with pytest.raises(InputError, match="'whole image' has the name of a region"):
            ingest(tmp_path, {"whole image": ("*",)})
