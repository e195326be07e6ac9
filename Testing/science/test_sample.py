"""The sample case is what a scanner would give: a bolus, arteries, a tumor, and a blood volume that is known."""

from __future__ import annotations

import numpy as np
import pytest

from stunet_perfusion.kinetics.aif import automatic_aif
from stunet_perfusion.kinetics.reference import reference_maps
from stunet_perfusion.phantom import sample as sample_module
from stunet_perfusion.phantom.contrast import ArterialBolus
from stunet_perfusion.phantom.sample import (
    PHYSIOLOGY,
    PROTOCOL,
    make_sample,
    write_sample,
)
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.reading import read_map, read_mask, read_series
from stunet_perfusion.series import check_series


@pytest.fixture(scope="module")
def sample():
    return make_sample()


@pytest.fixture(scope="module")
def prepared(sample):
    return prepare(sample.series)


@pytest.fixture(scope="module")
def true_aif(prepared):
    """(T,) delta R2* in 1/s of the arterial bolus that the phantom was given."""
    bolus = ArterialBolus(
        PROTOCOL.arrival,
        PHYSIOLOGY.arterial_peak * PROTOCOL.r2_star,
        PHYSIOLOGY.aif_alpha,
        PHYSIOLOGY.aif_beta,
        PHYSIOLOGY.recirculation_delay,
        PHYSIOLOGY.recirculation,
        PHYSIOLOGY.tail,
        PHYSIOLOGY.tail_decay,
    )
    return bolus(prepared.series.times)


def right_of_middle(sample, mask):
    k, j, i = (axis.mean() for axis in np.nonzero(mask))
    return (sample.series.grid.ijk_to_ras @ [i, j, k, 1])[0]


def test_it_is_a_usual_series_and_small(sample):
    series = check_series(sample.series)
    assert series.signal.shape == (60, 16, 128, 128)
    assert series.signal.dtype == np.float32
    assert series.signal.nbytes < 100e6
    assert series.echo_time == 0.030
    assert series.frame_interval == pytest.approx(1.5)
    np.testing.assert_allclose(series.grid.spacing, [1.875, 1.875, 6.0])
    assert np.linalg.det(series.grid.lps_direction) == pytest.approx(1)
    np.testing.assert_array_equal(series.signal, np.rint(series.signal))  # as scanners store it
    for array in (sample.brain, sample.tumor, sample.nawm, sample.vessels):
        assert array.dtype == bool
        assert array.shape == series.grid.shape
    assert sample.cbv.dtype == np.float32
    assert sample.cbv.shape == series.grid.shape


def test_masks_lie_where_they_belong(sample):
    milliliters = sample.series.grid.spacing.prod() / 1000
    assert 900 <= sample.brain.sum() * milliliters <= 1500
    assert 10 <= sample.tumor.sum() * milliliters <= 45
    assert sample.nawm.sum() * milliliters > 50
    assert sample.vessels.sum() >= 8
    assert (sample.tumor & sample.brain).sum() > 0.98 * sample.tumor.sum()
    assert not (sample.tumor & sample.nawm).any()
    assert right_of_middle(sample, sample.tumor) > 15
    assert right_of_middle(sample, sample.nawm) < -15


def test_brain_and_bolus_are_found(sample, prepared):
    both = (prepared.brain & sample.brain).sum()
    assert 2 * both / (prepared.brain.sum() + sample.brain.sum()) > 0.92
    times = prepared.series.times
    assert times[prepared.bolus.arrival] == pytest.approx(PROTOCOL.arrival, abs=3.0)
    # a gamma variate peaks alpha beta after its arrival, and tissue follows within some seconds
    peak = PROTOCOL.arrival + PHYSIOLOGY.aif_alpha * PHYSIOLOGY.aif_beta
    assert peak <= times[prepared.bolus.peak] <= peak + 6


def test_the_aif_is_found(prepared, true_aif):
    found = automatic_aif(prepared)
    assert np.corrcoef(found.curve, true_aif)[0, 1] > 0.97
    assert abs(int(np.argmax(found.curve)) - int(np.argmax(true_aif))) <= 1


def test_the_closed_form_finds_the_blood_volume(sample, prepared, true_aif):
    """With the true AIF the quotient of areas is the CBV; tails cut off at 90 s and T1 leakage leave a few percent."""
    maps = reference_maps(prepared.series, prepared.bolus.arrival, true_aif, prepared.brain)
    brain = prepared.brain & sample.brain & ~sample.tumor
    bloody = brain & (sample.cbv > 0.01)
    assert np.median(maps.cbv[bloody] / sample.cbv[bloody]) == pytest.approx(1, abs=0.04)
    assert np.corrcoef(maps.cbv[brain], sample.cbv[brain])[0, 1] > 0.95
    measured, true = (cbv[sample.tumor].mean() / cbv[sample.nawm].mean() for cbv in (maps.cbv, sample.cbv))
    assert true > 2.5
    assert measured == pytest.approx(true, rel=0.3)  # the tumor leaks


def test_noise_is_that_of_the_protocol(sample, prepared):
    """The change from frame to frame before the bolus is the noise of two frames."""
    steady = prepared.series.signal[: prepared.bolus.arrival]
    white, brain = steady[:, sample.nawm], steady[:, sample.brain]
    noise = np.diff(white, axis=0).std() / np.sqrt(2)
    assert brain.mean() / noise == pytest.approx(PROTOCOL.temporal_snr, rel=0.15)


def test_files_hold_the_sample(sample, monkeypatch, tmp_path):
    monkeypatch.setattr(sample_module, "make_sample", lambda progress: sample)
    names = write_sample(tmp_path / "case")
    assert names == [
        "dsc.json", "dsc.nii.gz", "mask.nii.gz", "nawm.nii.gz", "truth_cbv.nii.gz", "tumor.nii.gz", "vessels.nii.gz",
    ]  # fmt: skip
    assert sorted(file.name for file in (tmp_path / "case").iterdir()) == names
    series = read_series(tmp_path / "case" / "dsc.nii.gz")
    np.testing.assert_array_equal(series.signal, sample.series.signal)
    np.testing.assert_allclose(series.times, sample.series.times)
    assert series.echo_time == sample.series.echo_time
    assert series.grid.matches(sample.series.grid)
    cbv, grid = read_map(tmp_path / "case" / "truth_cbv.nii.gz")
    np.testing.assert_array_equal(cbv, sample.cbv)
    assert grid.matches(sample.series.grid)
    tumor, _ = read_mask(tmp_path / "case" / "tumor.nii.gz", sample.series.grid)
    np.testing.assert_array_equal(tumor, sample.tumor)


def test_the_true_ratio_is_the_one_that_the_self_test_in_the_application_knows(sample):
    """It cannot import this package's tests, so it knows the figure."""
    ratio = sample.cbv[sample.tumor].mean() / sample.cbv[sample.nawm].mean()
    assert ratio == pytest.approx(4.08, abs=0.02)
