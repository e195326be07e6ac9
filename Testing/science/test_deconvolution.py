"""The batched deconvolution against the plain one, and against what deconvolution has to do whoever computes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from science.synthetic import gamma_variate
from stunet_perfusion.benchmarks.deconvolution import brain_like_curves
from stunet_perfusion.kinetics.reference import deconvolution
from stunet_perfusion.kinetics.reference.deconvolution import oscillation_index_cbf, oscillation_index_flow
from stunet_perfusion.kinetics.reference.voxelwise import fourier_decomposition, voxel_cbf
from stunet_perfusion.support.errors import InputError

FRAME_INTERVAL = 1.5


def arterial_curve(frames: int, alpha: float = 3.0, time_to_peak: float = 4.5) -> np.ndarray:
    times = FRAME_INTERVAL * np.arange(frames)
    return 60 * gamma_variate(times, 15.0, time_to_peak, alpha)


def convolved(aif: np.ndarray, residue: np.ndarray) -> np.ndarray:
    """(T,) the rectangle rule's convolution of an AIF with a residue function."""
    return FRAME_INTERVAL * np.convolve(aif, residue)[: len(aif)]


def plain(curves: np.ndarray, aif: np.ndarray) -> np.ndarray:
    decomposition = fourier_decomposition(aif, FRAME_INTERVAL)
    return np.array([voxel_cbf(curve, decomposition) for curve in curves.T])


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(16, 90),
    alpha=st.floats(1.5, 5.0),
    noise=st.sampled_from([0.0, 0.01, 0.1, 1.0, 30.0]),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
    seed=st.integers(0, 2**16),
)
def test_all_at_once_is_one_after_another(frames, alpha, noise, scale, seed):
    generator = np.random.default_rng(seed)
    aif = arterial_curve(frames, alpha)
    residues = 0.01 * np.exp(-FRAME_INTERVAL * np.arange(frames) / generator.uniform(1, 10, (12, 1)))
    curves = np.stack([convolved(aif, residue) for residue in residues], axis=1)
    curves = scale * (curves + noise * generator.standard_normal(curves.shape))
    np.testing.assert_allclose(oscillation_index_cbf(curves, aif, FRAME_INTERVAL), plain(curves, aif), rtol=1e-7)


def test_first_pass_skips_no_level_that_would_be_accepted():
    """More voxels than one block holds, from no noise to nothing but noise."""
    curves, aif = brain_like_curves(4000, 60)
    curves[:, ::3] += np.random.default_rng(1).normal(0, 20, (60, len(curves[0, ::3])))
    curves[:, 1::3] = brain_like_curves(4000, 60, snr=1e5)[0][:, 1::3]
    system = deconvolution._system(aif, FRAME_INTERVAL)
    spectra = deconvolution._residue_spectra(curves, system)
    from_the_start = deconvolution._quiet_maximum(spectra, system, np.zeros(4000, dtype=int))
    skipped = deconvolution._first_level_in_doubt(spectra, system)
    assert skipped.max() > 40
    assert skipped.min() < 10
    flow, tmax = oscillation_index_flow(curves, aif, FRAME_INTERVAL)
    np.testing.assert_array_equal(flow, from_the_start[:, 0])
    np.testing.assert_array_equal(tmax, FRAME_INTERVAL * from_the_start[:, 1])


def test_flow_comes_back_exactly_without_noise():
    """Nothing of these curves is cut off, and their residue functions are too smooth to be truncated."""
    aif, residue = arterial_curve_that_ends(), residue_that_ends()
    flows = np.array([0.002, 0.006, 0.011])
    curves = np.stack([convolved(aif, flow * residue) for flow in flows], axis=1)
    np.testing.assert_allclose(oscillation_index_cbf(curves, aif, FRAME_INTERVAL), flows, rtol=1e-9)


@settings(deadline=None)
@given(delay=st.integers(-8, 10))
def test_delay_does_not_change_flow(delay):
    """Whether tissue comes after the measured artery or before it: that is what the circulant matrix is for."""
    aif = arterial_curve_that_ends()
    curve = np.roll(convolved(aif, 0.01 * residue_that_ends()), delay)
    assert oscillation_index_cbf(curve[:, None], aif, FRAME_INTERVAL)[0] == pytest.approx(0.01, rel=1e-9)


def arterial_curve_that_ends() -> np.ndarray:
    """(60,) nothing before frame 10 and from frame 28 on."""
    aif = arterial_curve(60)
    aif[28:] = 0
    return aif


def residue_that_ends() -> np.ndarray:
    """(60,) falls smoothly from 1 to 0 within 20 frames."""
    return np.cos(np.pi / 4 * np.minimum(np.arange(60) / 10, 2)) ** 2


def test_flow_is_proportional_to_the_curve_and_inverse_to_aif_and_frame_interval():
    curves, aif = brain_like_curves(300, 60)
    curves = curves.astype(np.float64)
    cbf = oscillation_index_cbf(curves, aif, 1.5)
    np.testing.assert_allclose(oscillation_index_cbf(4 * curves, aif, 1.5), 4 * cbf, rtol=1e-9)
    np.testing.assert_allclose(oscillation_index_cbf(curves, 4 * aif, 1.5), cbf / 4, rtol=1e-9)
    np.testing.assert_allclose(oscillation_index_cbf(curves, aif, 3.0), cbf / 2, rtol=1e-9)


def test_number_of_processes_and_layout_in_memory_change_nothing():
    curves, aif = brain_like_curves(1500, 60)
    cbf = oscillation_index_cbf(curves, aif, 1.5, workers=1)
    np.testing.assert_array_equal(oscillation_index_cbf(curves, aif, 1.5, workers=3), cbf)
    np.testing.assert_array_equal(oscillation_index_cbf(np.asfortranarray(curves), aif, 1.5), cbf)
    np.testing.assert_array_equal(oscillation_index_cbf(curves[:, 700:701], aif, 1.5), cbf[700:701])
    assert oscillation_index_cbf(curves[:, :0], aif, 1.5).shape == (0,)


def test_curves_that_hold_no_flow():
    aif = arterial_curve(40)
    curves = np.zeros((40, 4))
    curves[:, 1] = -convolved(aif, 0.01 * np.exp(-np.arange(40) / 3))
    curves[7, 2] = np.nan
    curves[7, 3] = np.inf
    cbf = oscillation_index_cbf(curves, aif, FRAME_INTERVAL)
    np.testing.assert_allclose(cbf[:2], plain(curves[:, :2], aif), rtol=1e-9, atol=1e-15)
    assert cbf[0] == 0
    assert np.isnan(cbf[2:]).all()


def test_components_that_the_aif_does_not_have_are_left_out():
    """An AIF that is a wide Gaussian has no high frequencies but rounding: they must not be divided by."""
    times = np.arange(60)
    aif = 50 * np.exp(-(((times - 28) / 5.0) ** 2) / 2)
    curves = np.stack([convolved(aif, 0.01 * np.exp(-times / 4)), aif * 0.05], axis=1)
    cbf = oscillation_index_cbf(curves, aif, FRAME_INTERVAL)
    assert np.isfinite(cbf).all()
    assert (cbf > 0.001).all()
    assert (cbf < 0.1).all()


@pytest.mark.parametrize("spoil", [0.0, -1.0, np.nan])
def test_refuses_an_aif_without_area(spoil):
    with pytest.raises(InputError, match="AIF"):
        oscillation_index_cbf(np.ones((30, 2)), spoil * arterial_curve(30), FRAME_INTERVAL)
