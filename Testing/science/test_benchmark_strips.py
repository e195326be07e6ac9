"""What the benchmark counts; what it measures is no matter of tests."""

import torch
from torch.nn import functional

from stunet_perfusion.benchmarks.strip_growth import measure_growth
from stunet_perfusion.benchmarks.strips import OperationCounter, random_network
from stunet_perfusion.inference.strips import StripRule, predict_slice
from stunet_perfusion.networks.counting import multiply_accumulates


def test_operations_of_a_convolution_leave_out_products_with_padding():
    features, kernel = torch.ones(2, 3, 4, 6), torch.ones(5, 3, 3, 3)
    with torch.inference_mode(), OperationCounter() as counter:
        result = functional.conv2d(features, kernel, padding=1)
    # Of ones, each output value is the number of its products.
    assert counter.operations == 2 * result.sum()


def test_operations_of_strided_and_transposed_convolutions():
    features = torch.ones(2, 3, 4, 6)
    for convolve, kernel in (
        (functional.conv2d, torch.ones(5, 3, 2, 2)),
        (functional.conv_transpose2d, torch.ones(3, 5, 2, 2)),
    ):
        with torch.inference_mode(), OperationCounter() as counter:
            result = convolve(features, kernel, stride=2)
        assert counter.operations == 2 * result.sum()


def test_operations_of_the_plain_network_are_at_most_those_counted_with_padding():
    network = random_network(2, 1)
    with torch.inference_mode(), OperationCounter() as counter:
        network(torch.zeros(1, 64, 32, 16))
    with_padding = 2 * multiply_accumulates(network, 64, 32, 16)
    assert 0.5 * with_padding < counter.operations < with_padding


def test_the_fast_way_computes_as_little_as_it_promises():
    """The paper's bounds on the ratio of operations: 10.4 for `context` against strips without context, 2.7 for `zero`.

    At this size margins weigh more than in a slice of 256 rows, so the bounds are lower.
    """
    network = random_network(4, 1)
    frames = torch.zeros(64, 128, 16).numpy()
    strips = 128 - 32 + 1
    with torch.inference_mode(), OperationCounter() as plain:
        network(torch.zeros(1, 64, 32, 16))
    for padding, least in (("context", 8.0), ("zero", 2.7)):
        with OperationCounter() as fast:
            predict_slice(network, frames, StripRule(32, padding))
        assert plain.operations * strips / fast.operations > least


def test_growth_is_measured_for_every_size_and_height_of_both_paddings():
    found = measure_growth((40, 48), (16, 32), width=1, columns=8)
    sizes = [(point.padding, point.rows, point.strip_rows) for point in found]
    each = [(40, 32), (48, 32), (256, 16)]
    assert sizes == [(padding, *size) for padding in ("zero", "context") for size in each]
    assert all(point.seconds > 0 for point in found)
