"""The study of simulated doses on a small phantom: what theory says of both methods, and the files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from science.heads import ball, ellipsoid_head
from stunet_perfusion.evaluation.dose_study import NOISE_FREE, StudyResult, StudySettings, study_phantom
from stunet_perfusion.evaluation.dose_study_report import write_study
from stunet_perfusion.phantom import Physiology, Protocol, make_phantom


@pytest.fixture(scope="module")
def study():
    anatomy = ellipsoid_head(2.5)
    protocol = Protocol(matrix=64, slices=4, slice_spacing=12.0, slice_thickness=5.0, frames=70, temporal_snr=50.0)
    phantom = make_phantom(
        anatomy,
        tumor=ball(anatomy, (30, 20, 25), 18),
        physiology=replace(Physiology(), k_trans=0.0, necrosis=False),
        protocol=protocol,
        seed=2,
    )
    # the approach to the steady state is no contrast, and no method can know that it does not scale
    baseline = replace(phantom.baseline, approach=np.zeros_like(phantom.baseline.approach))
    phantom = replace(phantom, baseline=baseline)
    return study_phantom(phantom, StudySettings(windows=(3, 9), snrs=(60.0,)))


def rows(study, **wanted):
    return [row for row in study.rows if all(row[name] == value for name, value in wanted.items())]


def test_noise_matched_without_noise_and_leakage_is_the_scan_itself(study):
    """S0 (S/S0)^d is exact where the signal decays with one exponential."""
    for row in rows(study, method="noise-matched", snr=NOISE_FREE):
        assert row["peak_bias"] == pytest.approx(0, abs=2e-3)
        assert row["area_bias"] == pytest.approx(0, abs=2e-3)


def test_equation_1_bends_curves_the_more_the_longer_its_window(study):
    for tissue in ("gray matter", "tumor", "artery"):
        short, long = (rows(study, tissue=tissue, snr=NOISE_FREE, dose=0.5, window=w)[0]["peak_bias"] for w in (3, 9))
        assert long > short, "what the average misses of the peak is left in the signal"


def test_equation_1_understates_the_noise_and_noise_matched_does_not(study):
    """A filter of the same noise: about half of it is left at half dose; a scan at the lower dose has all of it."""
    for row in rows(study, tissue="white matter", method="equation1", snr=60.0, dose=0.5):
        assert 0.4 < row["noise_ratio"] < 0.75
    for row in rows(study, tissue="white matter", method="noise-matched", snr=60.0):
        assert row["noise_ratio"] == pytest.approx(1.0, abs=0.12)


def test_numbers_figures_and_report_are_written(study, tmp_path):
    named = StudyResult(
        [{"head": "001", **row} for row in study.rows], [{"head": "001", **row} for row in study.curves]
    )
    files = write_study(tmp_path, named)
    assert {file.name for file in tmp_path.iterdir()} == set(files)
    text = (tmp_path / "dose_study.md").read_text(encoding="utf-8")
    assert "50 %, gray matter, Equation 1" in text
    assert "Research use only" in text
