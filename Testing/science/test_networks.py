"""The three networks: the paper's structure, sizes known by hand, and what each strip size gives."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from stunet_perfusion.networks.build import NETWORKS, build_network
from stunet_perfusion.networks.counting import multiply_accumulates, parameter_count
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.networks.hess import TimeConvolution
from stunet_perfusion.networks.memory_layout import use_channels_last
from stunet_perfusion.support.errors import InputError

SMALL = {
    "stunet": {"widths": (2, 3, 4, 5)},
    "hess": {"sequence_widths": (2, 3, 4, 4)},
    "ulas": {"frames": 64, "width": 4},
}


def normalized(weights: int, width: int) -> int:
    """Parameters of a convolution without bias and its batch normalization (a gain and an offset a channel)."""
    return weights + 2 * width


def test_parameters_of_the_default_stunet_by_hand():
    widths = (16, 32, 64, 128)
    encoder = sum(normalized(3 * 3 * 7 * a * b, b) for a, b in zip((1, 32, 64, 128), widths, strict=True))
    pairs = list(pairwise(widths))
    reductions = sum(normalized(2 * 2 * 4 * a * b, b) for a, b in pairs)
    expansions = sum(normalized(2 * 2 * a * b, a) for a, b in pairs)
    decoder = sum(normalized(5 * 5 * 2 * a * a, a) for a, _ in pairs)
    head = 16 + 1
    assert parameter_count(build_network("stunet", {})) == encoder + reductions + expansions + decoder + head


def test_multiply_accumulates_of_the_default_stunet_by_hand():
    rows, columns, frames = 32, 256, 64
    widths = (16, 32, 64, 128)
    total = 0
    for level, (before, width) in enumerate(zip((1, 32, 64, 128), widths, strict=True)):
        pixels = (rows >> level) * (columns >> level)
        total += 3 * 3 * 7 * before * width * pixels * (frames >> 2 * level)
        if level < 3:
            total += 2 * 2 * 4 * width * widths[level + 1] * (pixels // 4) * (frames >> 2 * (level + 1))
            total += 2 * 2 * widths[level + 1] * width * (pixels // 4)
            total += 5 * 5 * 2 * width * width * pixels
    total += 16 * rows * columns
    assert multiply_accumulates(build_network("stunet", {}), frames, rows, columns) == total


def test_parameters_of_a_stunet_with_a_decoder_of_its_own_by_hand():
    """Four maps beside every frame and in the finest skip, means in all skips, a second output."""
    widths, decoder, maps = (8, 16, 32, 64), (48, 40, 36), 4
    encoder = sum(normalized(3 * 3 * 7 * a * b, b) for a, b in zip((1 + maps, 16, 32, 64), widths, strict=True))
    reductions = sum(normalized(2 * 2 * 4 * a * b, b) for a, b in pairwise(widths))
    expansions = sum(normalized(2 * 2 * a * b, b) for b, a in pairwise((*decoder, 64)))
    joined = [width + 2 * skip for width, skip in zip(decoder, widths, strict=False)]
    joined[0] += maps
    convolutions = sum(normalized(5 * 5 * a * b, b) for a, b in zip(joined, decoder, strict=True))
    head = 2 * (48 + 1)
    arguments = {
        "widths": widths,
        "skip": "mean-and-maximum",
        "error": True,
        "maps": maps,
        "join_maps": True,
        "decoder": decoder,
    }
    expected = encoder + reductions + expansions + convolutions + head
    assert parameter_count(build_network("stunet", arguments)) == expected


def test_maps_that_join_the_skip_reach_the_output_without_the_encoder():
    arguments = {"widths": (2, 2, 3, 3), "maps": 2}
    network = build_network("stunet", {**arguments, "join_maps": True}).eval()
    for blocks in network.encoder:
        nn.init.zeros_(blocks[0][0].weight)
    strips = torch.randn(1, 66, 16, 16)
    changed = strips.clone()
    changed[:, 65, 8, 8] += 1
    assert (network(strips) != network(changed)).any()
    apart = build_network("stunet", arguments).eval()
    for blocks in apart.encoder:
        nn.init.zeros_(blocks[0][0].weight)
    assert torch.equal(apart(strips), apart(changed))


def test_a_refinement_sees_maps_only_and_its_parameters_are_those_counted_by_hand():
    arguments = {"widths": (2, 2, 3, 3), "maps": 2, "error": True}
    refined = build_network("stunet", {**arguments, "refine": (1, 2, 1), "refine_width": 5}).eval()
    by_hand = (9 * 2 * 5 + 5) + 2 * (9 * 5 * 5 + 5) + (5 * 2 + 2)
    assert parameter_count(refined) - parameter_count(build_network("stunet", arguments)) == by_hand
    assert refined.refinement.reach == 4

    strips = torch.randn(1, 66, 16, 16)
    assert not refined(strips).any(), "untrained it corrects nothing"
    nn.init.normal_(refined.refinement.head.weight)
    changed = strips.clone()
    changed[:, :64] += 1
    assert torch.equal(refined(strips), refined(changed)), "frames are nothing to it"
    changed = strips.clone()
    changed[:, 65, 8, 8] += 1
    rows, columns = (refined(strips) != refined(changed)).any(dim=1)[0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 12, 4, 12)


def test_a_deep_refinement_begins_with_features_as_strong_as_its_maps():
    """With torch's own first weights, nine layers would leave less than a thousandth of them."""
    torch.manual_seed(0)
    arguments = {"widths": (2, 2, 3, 3), "maps": 4, "refine": (1, 1, 2, 4, 8, 4, 2, 1, 1), "refine_width": 48}
    body = build_network("stunet", arguments).refinement.body
    maps = torch.randn(2, 4, 48, 48)
    assert 0.3 < float(body(maps).detach().std()) < 3


def test_the_average_of_like_neighbors_multiplies_nothing_that_is_learned():
    arguments = {"widths": (3, 4, 5, 6), "maps": 5, "refine": (1,), "refine_width": 2}
    plain, guided = (build_network("stunet", {**arguments, "guided": guided}) for guided in (False, True))
    more = multiply_accumulates(guided, 64, 16, 24) - multiply_accumulates(plain, 64, 16, 24)
    assert more == 9 * 3 * 2 * 16 * 24, "but its three maps are convolved"


def test_multiply_accumulates_of_a_stunet_with_maps_count_them_as_channels_of_every_frame():
    plain, with_maps = (build_network("stunet", {"widths": (3, 4, 5, 6), "maps": maps}) for maps in (0, 2))
    more = multiply_accumulates(with_maps, 64, 16, 24) - multiply_accumulates(plain, 64, 16, 24)
    assert more == 3 * 3 * 7 * 2 * 3 * 64 * 16 * 24


def test_multiply_accumulates_of_ulas_by_hand():
    paths = 2 * 9 * (64 * 64 * 3 + 64 * 32)
    per_pixel = 9 * 64 * 64 + paths + 9 * (64 * 64 + 64 * 64) + 64
    assert multiply_accumulates(build_network("ulas", {}), 64, 32, 256) == per_pixel * 32 * 256


def test_encoder_of_the_stunet_takes_64_frames_to_one():
    network = build_network("stunet", SMALL["stunet"]).eval()
    seen = []
    for level in network.encoder:
        level.register_forward_hook(lambda layer, inputs, output: seen.append(tuple(output.shape[1:])))
    network(torch.zeros(1, 64, 32, 40))
    assert seen == [(2, 64, 32, 40), (3, 16, 16, 20), (4, 4, 8, 10), (5, 1, 4, 5)]


@given(
    strips=st.integers(1, 2),
    frames=st.sampled_from([64, 128]),
    rows=st.integers(1, 4).map(lambda n: 8 * n),
    columns=st.integers(1, 4).map(lambda n: 8 * n),
    convolutions=st.integers(1, 2),
)
@settings(max_examples=12, deadline=None)
def test_stunet_gives_a_map_of_the_strip_for_every_legal_size(strips, frames, rows, columns, convolutions):
    network = build_network("stunet", {**SMALL["stunet"], "convolutions": convolutions}).eval()
    assert network(torch.zeros(strips, frames, rows, columns)).shape == (strips, rows, columns)


@pytest.mark.parametrize("name", ["hess", "ulas"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 13), (32, 40)])
def test_the_other_networks_take_any_rows_and_columns(name, rows, columns):
    network = build_network(name, SMALL[name]).eval()
    network.check_strip(64, rows, columns)
    assert network(torch.zeros(2, 64, rows, columns)).shape == (2, rows, columns)


@pytest.mark.parametrize(
    ("name", "strip", "sentence"),
    [
        ("stunet", (60, 32, 256), "60 frames does not fit.* use 64 frames"),
        ("stunet", (64, 30, 256), "30 rows does not fit.* use 32 rows"),
        ("stunet", (64, 32, 250), "250 columns does not fit.* use 248 columns"),
        ("stunet", (64, 0, 256), "0 rows does not fit"),
        ("hess", (48, 32, 256), "48 frames does not fit.* use 64 frames"),
        ("ulas", (48, 32, 256), "was made for 64 frames, not 48"),
    ],
)
def test_other_strips_are_refused_with_the_nearest_legal_size(name, strip, sentence):
    with pytest.raises(InputError, match=sentence):
        build_network(name, SMALL[name]).check_strip(*strip)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_beyond_the_reach_change_nothing_and_the_reach_is_not_idle(name):
    """`row_reach` is what `context` strips rely on: it must cover, on either side, all that can change a row."""
    torch.manual_seed(1)
    # Positive weights: no ReLU is dead, so a change reaches as far as the structure lets it.
    network = build_network(name, SMALL[name]).double().eval()
    for parameter in network.parameters():
        parameter.data.abs_()
    reach, rows = network.row_reach, 160
    strip = torch.rand(1, 64, rows, 8, dtype=torch.float64)
    changed = strip.clone()
    changed[:, :, rows // 2] += 10
    difference = (network(strip) - network(changed)).abs().amax(dim=(0, 2))
    touched = torch.nonzero(difference > 0).flatten()
    assert rows // 2 - touched.min() <= reach
    assert touched.max() - rows // 2 <= reach
    assert (touched.max() - touched.min()) / 2 > reach - 2 * network.row_step


def test_hess_looks_at_one_voxel_at_a_time_before_the_spatial_part():
    torch.manual_seed(2)
    network = build_network("hess", {}).eval()
    strip = torch.randn(1, 1, 64, 5, 5)
    changed = strip.clone()
    changed[..., 2, 2] = torch.randn(64)
    difference = (network.sequence_encoder(strip) - network.sequence_encoder(changed)).abs().amax(dim=(0, 1, 2))
    assert torch.nonzero(difference).tolist() == [[2, 2]]


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last_gives_the_same_map(name):
    torch.manual_seed(2)
    network = build_network(name, SMALL[name]).eval()
    strip = torch.randn(2, 64, 16, 24)
    with torch.inference_mode():
        plain = network(strip)
        assert torch.allclose(use_channels_last(network)(strip), plain, atol=1e-5 * float(plain.std()))


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_batch_normalization_gives_the_same_map_and_leaves_the_network_alone(name):
    torch.manual_seed(6)
    network = build_network(name, SMALL[name])
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    strip = torch.randn(2, 64, 16, 24)
    with torch.inference_mode():
        plain = network.eval()(strip)
        folded = fold_batch_normalization(network)
        assert not any(isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)) for layer in folded.modules())
        assert torch.allclose(folded(strip), plain, atol=1e-5 * float(plain.std()))
        assert torch.equal(network(strip), plain)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("unet", {}, "'unet' is not known.* stunet, hess, ulas"),
        ("stunet", {"depth": 4}, "cannot be built.*depth"),
        ("stunet", {"refine": (1, 2)}, "has no maps to refine; give it maps, or leave 'refine' out"),
        (
            "stunet",
            {"guided": True, "maps": 2, "refine": (1,)},
            "filters 5 maps by non-local means, and refines them; give",
        ),
        ("stunet", {"guided": True, "maps": 5}, "filters 5 maps .* refines them; give it .* or leave 'guided' out"),
        ("stunet", {"decoder": (4, 5)}, "2 widths of the decoder do not fit 4 of the encoder; give 3 of them"),
    ],
)
def test_unknown_networks_and_arguments_are_named(name, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        build_network(name, arguments)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(7, 1, 3), (4, 4, 0)])
def test_a_convolution_over_time_is_the_one_in_three_dimensions(kernel, stride, padding):
    torch.manual_seed(0)
    layer = TimeConvolution(3, 5, (kernel, 1, 1), stride=(stride, 1, 1), padding=(padding, 0, 0))
    features = torch.randn(2, 3, 16, 6, 7, requires_grad=True)
    expected = functional.conv3d(features, layer.weight, layer.bias, layer.stride, layer.padding)
    torch.testing.assert_close(layer(features), expected)
    (ours,) = torch.autograd.grad(layer(features).square().sum(), features)
    (theirs,) = torch.autograd.grad(expected.square().sum(), features)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
