"""Cutting, predicting and averaging strips, against closed forms and dense passes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stunet_perfusion.inference.strips import (
    StripAverage,
    StripRule,
    cut_strip,
    predict_slice,
    strip_starts,
)
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.support.errors import InputError


class RowNumber(nn.Module):
    """Predicts, for each row of a strip, its number within the strip plus the mean over time of the signal."""

    row_step, row_reach = 1, 0

    def check_strip(self, frames, rows, columns):
        pass

    def forward(self, strips):
        numbers = torch.arange(strips.shape[2], dtype=torch.float32)[None, :, None]
        return strips.mean(dim=1) + numbers


@given(slice_rows=st.integers(1, 120), strip_rows=st.integers(1, 120), stride=st.integers(1, 120))
def test_every_row_is_covered_and_no_strip_leaves_the_slice(slice_rows, strip_rows, stride):
    if strip_rows > slice_rows or stride > strip_rows:
        with pytest.raises(InputError):
            strip_starts(slice_rows, strip_rows, stride)
        return
    starts = strip_starts(slice_rows, strip_rows, stride)
    covered = np.zeros(slice_rows, int)
    for start in starts:
        assert start + strip_rows <= slice_rows
        covered[start : start + strip_rows] += 1
    assert covered.min() >= 1
    assert starts[-1] == slice_rows - strip_rows
    assert set(np.diff(starts)[:-1]) <= {stride}


def test_strips_of_the_paper():
    assert len(strip_starts(256, 32, 1)) == 225
    assert strip_starts(256, 32, 8) == list(range(0, 225, 8))


@given(slice_rows=st.integers(4, 24), strip_rows=st.integers(1, 12), stride=st.integers(1, 12), batch=st.integers(1, 5))
@settings(deadline=None)
def test_mean_and_spread_are_those_of_the_strips_that_cover_a_row(slice_rows, strip_rows, stride, batch):
    strip_rows = min(strip_rows, slice_rows)
    stride = min(stride, strip_rows)
    frames = np.random.default_rng(0).normal(size=(64, slice_rows, 8)).astype(np.float32)
    average = predict_slice(RowNumber(), frames, StripRule(strip_rows), stride, batch=batch)
    starts = strip_starts(slice_rows, strip_rows, stride)
    for row in range(slice_rows):
        numbers = np.array([row - start for start in starts if start <= row < start + strip_rows], float)
        np.testing.assert_allclose(average.mean[row], frames[:, row].mean(axis=0) + numbers.mean(), atol=2e-5)
        np.testing.assert_allclose(average.spread[row], numbers.std(), atol=2e-4)


def test_a_zero_padded_strip_sees_nothing_of_its_neighbors():
    frames = np.arange(3 * 10 * 2, dtype=np.float32).reshape(3, 10, 2)
    np.testing.assert_array_equal(cut_strip(frames, 4, 3, margin=0), frames[:, 4:7])
    with_margin = cut_strip(frames, 0, 3, margin=2)
    assert not with_margin[:, :2].any()
    np.testing.assert_array_equal(with_margin[:, 2:], frames[:, :5])
    at_the_end = cut_strip(frames, 7, 3, margin=2)
    assert not at_the_end[:, -2:].any()
    np.testing.assert_array_equal(at_the_end[:, :-2], frames[:, 5:])


def test_context_strips_of_a_row_invariant_network_average_to_its_dense_pass():
    """Hess reduces nothing in the plane, so every strip with its context predicts what a dense pass predicts."""
    torch.manual_seed(3)
    network = build_network("hess", {"sequence_widths": (2, 3, 4, 4)}).eval()
    frames = np.random.default_rng(1).normal(size=(64, 24, 16)).astype(np.float32)
    extended = np.pad(frames, ((0, 0), (8, 8), (0, 0)))
    with torch.inference_mode():
        dense = network(torch.from_numpy(extended)[None])[0].numpy()[8:-8]
    average = predict_slice(network, frames, StripRule(8, "context"), stride=3)
    np.testing.assert_allclose(average.mean, dense, atol=1e-5 * dense.std())
    assert average.spread.max() < 1e-3 * dense.std()


def test_context_strips_of_the_stunet_are_its_dense_passes_at_the_row_phases():
    """Strips whose starts agree modulo 8 are one dense pass; the average over all of them is the mean of 8 passes."""
    torch.manual_seed(4)
    network = build_network("stunet", {"widths": (2, 3, 4, 5)}).eval()
    rows, strip_rows = 48, 16
    frames = np.random.default_rng(2).normal(size=(64, rows, 8)).astype(np.float32)
    margin = 64
    total, count = np.zeros((rows, 8)), np.zeros((rows, 1))
    for phase in range(8):
        extended = np.pad(frames, ((0, 0), (margin - phase, margin + phase), (0, 0)))
        with torch.inference_mode():
            dense = network(torch.from_numpy(extended)[None])[0].numpy()[margin - phase : margin - phase + rows]
        for start in range(phase, rows - strip_rows + 1, 8):
            total[start : start + strip_rows] += dense[start : start + strip_rows]
            count[start : start + strip_rows] += 1
    expected = total / count
    average = predict_slice(network, frames, StripRule(strip_rows, "context"))
    np.testing.assert_allclose(average.mean, expected, atol=1e-4 * expected.std())


def test_zero_padded_strips_differ_from_a_dense_pass():
    """The two paddings are different predictions, and a checkpoint has to say which one it was trained for."""
    torch.manual_seed(5)
    network = build_network("hess", {"sequence_widths": (2, 3, 4, 4)}).eval()
    frames = np.random.default_rng(3).normal(size=(64, 24, 8)).astype(np.float32)
    zero = predict_slice(network, frames, StripRule(8, "zero"))
    context = predict_slice(network, frames, StripRule(8, "context"))
    assert np.abs(zero.mean - context.mean).max() > 1e-2 * context.mean.std()
    assert zero.spread.max() > 1e-2 * context.mean.std()


def test_cancelling_stops_between_two_batches():
    calls = []

    class Stopped(Exception):
        pass

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        predict_slice(RowNumber(), np.zeros((64, 20, 8), np.float32), StripRule(4), batch=2, check_cancelled=check)
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("rows", "padding", "sentence"), [(32, "mirror", "'mirror' is not known"), (0, "zero", "0 rows is none")]
)
def test_impossible_rules_are_refused(rows, padding, sentence):
    with pytest.raises(InputError, match=sentence):
        StripRule(rows, padding)


def test_an_expected_error_stays_within_what_training_knows():
    """Beyond the limits a training's loss is flat, and what a network says there may be anything."""
    log_error = np.array([[-50.0, -6.0, 0.0, 3.0, 50.0]])
    average = StripAverage.of(np.zeros((1, 5)), np.zeros((1, 5)), log_error)
    np.testing.assert_allclose(average.error, np.exp([[-6, -6, 0, 3, 3]]), rtol=1e-6)
