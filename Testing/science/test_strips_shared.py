"""The fast averages over strips against the plain loop that predicts strip after strip."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from stunet_perfusion.inference.strips import (
    StripRule,
    context,
    predict_slice,
    predict_slice_plainly,
    predict_slice_progressively,
    take_apart,
    zero,
)
from stunet_perfusion.networks.build import build_network, maps_of
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.networks.stunet import with_maps

#: The largest difference that rounding in float32 may leave, in standard deviations of the map.
TOLERANCE = 1e-4

ARGUMENTS = {
    "one convolution a level": ("stunet", {"widths": (3, 2, 4, 3)}),
    "two convolutions a level": ("stunet", {"widths": (3, 2, 3, 4), "convolutions": 2}),
    "three convolutions a level": ("stunet", {"widths": (2, 3, 3, 2), "convolutions": 3}),
    "means, maps and an error": (
        "stunet",
        {"widths": (3, 2, 3, 4), "skip": "mean-and-maximum", "error": True, "maps": 2},
    ),
    "maps that join the skip, a decoder of its own": (
        "stunet",
        {
            "widths": (2, 3, 3, 4),
            "skip": "mean-and-maximum",
            "error": True,
            "maps": 3,
            "join_maps": True,
            "decoder": (5, 4, 3),
        },
    ),
    "maps that are refined by themselves": (
        "stunet",
        {"widths": (2, 3, 3, 4), "error": True, "maps": 2, "refine": (1, 2, 4), "refine_width": 5},
    ),
    "maps whose like neighbors are averaged": (
        "stunet",
        {"widths": (2, 3, 3, 4), "error": True, "maps": 5, "refine": (1, 2), "refine_width": 5, "guided": True},
    ),
    "maps that are refined from further away than the network sees": (
        "stunet",
        {"widths": (2, 3, 4), "maps": 2, "refine": (1, 20, 30), "refine_width": 4},
    ),
    "two reductions": ("stunet", {"widths": (2, 3, 4)}),
    "hess": ("hess", {"sequence_widths": (2, 3, 4, 4)}),
    "ulas": ("ulas", {"frames": 64, "width": 4}),
}


def lively_network(name, arguments, seed=0):
    """A network in which no normalization is idle and hardly a ReLU is dead, so that rows do differ by their strip.

    Gains and offsets are such that features of zero rows are far from zero, as in a trained network.
    """
    torch.manual_seed(seed)
    network = build_network(name, arguments)
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.02, 0.1)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, 0.1, 0.6)
        # What begins as 0 says something, too, and not the same of all rows beyond the slice.
        elif isinstance(layer, nn.Conv2d) and not layer.weight.any():
            nn.init.normal_(layer.weight, 0, 0.3)
            nn.init.normal_(layer.bias, 0, 0.3)
    network.eval()
    if maps_of(network):
        moderate_error(network)
    return network


def moderate_error(network):
    """An expected error that varies by a few times over a slice. Its logarithm may not vary by tens, or its exponential
    overflows in a pixel or other, and two that do are not comparable.
    """
    with torch.inference_mode():
        said = network(torch.from_numpy(slice_of(32, 16, maps=maps_of(network)))[None])
    if said.ndim == 3:
        return
    heads = [network.head] + ([network.refinement.head] if network.refinement is not None else [])
    for head in heads:
        head.weight.data[1] /= said[0, 1].std()
        head.bias.data[1] /= said[0, 1].std()


def slice_of(rows, columns, seed=0, maps=0):
    return np.random.default_rng(seed).normal(size=(64 + maps, rows, columns)).astype(np.float32)


def assert_equal_to_the_plain_loop(network, frames, rule, stride, batch=8):
    plain = predict_slice_plainly(network, frames, rule, stride)
    fast = predict_slice(network, frames, rule, stride, batch=batch)
    allowed = TOLERANCE * plain.mean.std()
    assert np.abs(fast.mean - plain.mean).max() <= allowed
    assert np.abs(fast.spread - plain.spread).max() <= allowed
    assert fast.mean.dtype == fast.spread.dtype == np.float32
    assert (fast.error is None) == (plain.error is None)
    if plain.error is not None:
        assert plain.error.std() > 100 * TOLERANCE * plain.error.mean()
        np.testing.assert_allclose(fast.error, plain.error, rtol=10 * TOLERANCE)
    return plain


@pytest.mark.parametrize("padding", ["zero", "context"])
@pytest.mark.parametrize("kind", ARGUMENTS)
@given(
    strip_steps=st.integers(1, 5),
    more_rows=st.integers(0, 45),
    stride=st.integers(1, 40),
    columns=st.sampled_from([8, 16, 24]),
    batch=st.integers(1, 9),
)
@example(strip_steps=4, more_rows=32, stride=1, columns=8, batch=8)
@example(strip_steps=3, more_rows=37, stride=1, columns=16, batch=5)
@example(strip_steps=1, more_rows=0, stride=8, columns=8, batch=1)
@example(strip_steps=2, more_rows=34, stride=3, columns=24, batch=1)
@settings(max_examples=6, deadline=None)
def test_the_fast_average_is_that_of_the_plain_loop(kind, padding, strip_steps, more_rows, stride, columns, batch):
    network = lively_network(*ARGUMENTS[kind])
    strip_rows = 8 * strip_steps
    frames = slice_of(strip_rows + more_rows, columns, seed=more_rows, maps=maps_of(network))
    assert_equal_to_the_plain_loop(network, frames, StripRule(strip_rows, padding), min(stride, strip_rows), batch)


@pytest.mark.parametrize("padding", ["zero", "context"])
@pytest.mark.parametrize("kind", ["one convolution a level", "two convolutions a level"])
def test_strips_of_these_networks_do_contradict_each_other(kind, padding):
    """What makes the comparison above worth something: strips differ by far more than the tolerance."""
    network = lively_network(*ARGUMENTS[kind])
    plain = assert_equal_to_the_plain_loop(network, slice_of(48, 16), StripRule(16, padding), 1)
    assert np.median(plain.spread[8:-8]) > 100 * TOLERANCE * plain.mean.std()


@settings(max_examples=20, deadline=None)
@given(
    frames=st.sampled_from([4, 8, 12, 64]), rows=st.integers(3, 9), columns=st.integers(3, 9), maps=st.integers(1, 5)
)
def test_maps_are_convolved_once_as_if_they_were_beside_every_frame(frames, rows, columns, maps):
    """Against the network's own 3-D convolution, for series shorter than its kernel, too."""
    torch.manual_seed(frames)
    network = lively_network("stunet", {"widths": (3, 2), "maps": maps})
    slice_ = torch.randn(frames + maps, rows, columns)
    stages = take_apart(network, frames)
    with torch.inference_mode():
        expected = fold_batch_normalization(network).encoder[0](with_maps(slice_[None], maps))
        found = stages.encode(0, *stages.signal_and_maps(slice_))
        beside = stages.encode(0, stages.features_of(slice_))
    expected = expected[:, :, :, 1:-1].permute(0, 3, 2, 4, 1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(beside, expected, rtol=1e-4, atol=1e-4)


def test_a_head_that_says_nothing_leaves_the_refinement():
    """As after a training whose best epoch was one in which the refinement learned alone."""
    network = lively_network(*ARGUMENTS["maps whose like neighbors are averaged"])
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    average = assert_equal_to_the_plain_loop(network, slice_of(43, 16, maps=5), StripRule(16, "context"), 1)
    assert not average.spread.any()
    assert average.mean.std() > 0
    # One that says the same of everything says something.
    nn.init.ones_(network.head.bias)
    assert_equal_to_the_plain_loop(network, slice_of(43, 16, maps=5), StripRule(16, "context"), 1)


@pytest.mark.parametrize("padding", ["zero", "context"])
def test_a_network_that_was_taken_apart_before_predicts_the_same(padding):
    network = lively_network(*ARGUMENTS["means, maps and an error"])
    frames, rule = slice_of(43, 16, maps=2), StripRule(16, padding)
    stages = take_apart(network, 64)
    whole = predict_slice(network, frames, rule)
    for _ in range(2):
        again = predict_slice(network, frames, rule, stages=stages)
        np.testing.assert_array_equal(again.mean, whole.mean)
        np.testing.assert_array_equal(again.error, whole.error)
    assert take_apart(lively_network(*ARGUMENTS["hess"]), 64) is None


@pytest.mark.parametrize("padding", ["zero", "context"])
def test_blocks_of_any_size_give_the_same(padding, monkeypatch):
    network = lively_network(*ARGUMENTS["two convolutions a level"])
    frames, rule = slice_of(43, 16), StripRule(16, padding)
    whole = predict_slice(network, frames, rule)
    for values in (1, 20_000, 70_000):
        monkeypatch.setattr(context, "BLOCK_VALUES", values)
        monkeypatch.setattr(zero, "BLOCK_VALUES", values)
        parts = predict_slice(network, frames, rule)
        np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-5 * whole.mean.std())
        np.testing.assert_allclose(parts.spread, whole.spread, atol=1e-5 * whole.mean.std())


@pytest.mark.parametrize(
    ("convolutions", "strip_rows", "levels"), [(1, 32, 4), (2, 32, 3), (1, 8, 2), (2, 8, 1), (3, 32, 2), (5, 8, 0)]
)
def test_edges_meet_at_the_level_that_counting_by_hand_gives(convolutions, strip_rows, levels):
    """One convolution: 1, then 1 + 1, 1 + 1, 1 + 1 edge rows of 32, 16, 8, 4. Two: 2, 1 + 2, 2 + 2, 2 + 2, too many."""
    assert zero.levels_with_shared_rows(3, convolutions, strip_rows) == levels


@pytest.mark.parametrize("padding", ["zero", "context"])
def test_the_fast_ways_stop_when_they_are_cancelled(padding):
    class Stopped(Exception):
        pass

    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise Stopped

    network = lively_network(*ARGUMENTS["one convolution a level"])
    with pytest.raises(Stopped):
        predict_slice(network, slice_of(40, 8), StripRule(16, padding), check_cancelled=check)
    assert len(calls) == 3


@pytest.mark.parametrize("padding", ["zero", "context"])
def test_a_preview_is_every_eighth_strip_and_then_all_of_them(padding):
    network = lively_network(*ARGUMENTS["one convolution a level"])
    frames, rule = slice_of(41, 8), StripRule(24, padding)
    quick, exact = predict_slice_progressively(network, frames, rule)
    for preview, stride in ((quick, 8), (exact, 1)):
        plain = predict_slice_plainly(network, frames, rule, stride)
        np.testing.assert_allclose(preview.mean, plain.mean, atol=TOLERANCE * plain.mean.std())


def test_a_preview_that_nobody_waits_for_computes_no_second_average():
    network = lively_network(*ARGUMENTS["one convolution a level"])
    calls = []
    averages = predict_slice_progressively(
        network, slice_of(40, 8), StripRule(16), check_cancelled=lambda: calls.append(1)
    )
    next(averages)
    after_the_first = len(calls)
    averages.close()
    assert len(calls) == after_the_first > 0
