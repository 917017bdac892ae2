"""The measured [11C]MC1 cohort: six people, two scans each, arterial blood with metabolites, region curves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import open_study_store
from dlif_core.study.products import input_function_name
from dlif_core.study.states import ScanStatus
from dlif_core.study.status import study_status

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "ds004869.yaml"


@pytest.fixture(scope="module")
def cohort(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., StudyConfig]
) -> StudyConfig:
    content = yaml.safe_load(EXAMPLE.read_text()) | {"data": str(real_data / "ds004869_mc1"), "output": "out"}
    return run_study(tmp_path_factory.mktemp("mc1"), **content)


def table(config: StudyConfig, name: str) -> pd.DataFrame:
    store = open_study_store(config)
    return pd.read_csv(f"{store.uri_of('cohort')}/{name}.tsv", sep="\t", na_values="n/a", keep_default_na=False)


def test_every_scan_succeeds(cohort: StudyConfig) -> None:
    status = study_status(cohort)
    assert len(status.scans) == 12
    assert {scan.status for scan in status.scans} == {ScanStatus.SUCCESS}


def test_every_scan_has_vt_with_a_standard_error(cohort: StudyConfig) -> None:
    rows = table(cohort, "region_parameters").query("parameter == 'VT'")
    assert rows["scan_id"].nunique() == 12
    assert rows.groupby("scan_id")["region"].nunique().min() >= 95
    sound = rows[(rows["status"] == "converged") & (rows["standard_error"] > 0)]
    assert len(sound) > 0.9 * len(rows)


def test_celecoxib_lowers_neocortical_binding_and_spares_the_cerebellum(cohort: StudyConfig) -> None:
    """Yan et al., J Nucl Med 2025;66:398 report -25 % in the neocortex and no effect in the cerebellum."""
    ratio = table(cohort, "ratio_2tcm-reversible_VT_blocked_baseline").groupby("region")["ratio"].median()
    assert 0.65 < ratio["neocortex"] < 0.95
    assert 0.85 < ratio["cerebellum"] < 1.3
    assert ratio["neocortex"] < ratio["cerebellum"]


def test_test_retest_difference_is_reported_for_every_region(cohort: StudyConfig) -> None:
    rows = table(cohort, "test-retest_2tcm-reversible_VT_test_retest").set_index("region")
    assert np.isfinite(rows.loc["neocortex"].drop(["region"], errors="ignore").astype(float)).any()


def test_disordered_blood_is_repaired_with_a_recorded_reason(cohort: StudyConfig) -> None:
    marker = open_study_store(cohort).marker(input_function_name("sub-13_ses-retest", "arterial"))
    assert marker is not None
    assert any("178.2" in warning for warning in marker.warnings)
