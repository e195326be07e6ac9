"""Checkpoints: what is written comes back, and nothing else is loaded."""

import dataclasses
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from stunet_perfusion.inference.strips import StripRule
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import CheckpointInfo
from stunet_perfusion.support.errors import InputError

ARGUMENTS = {"widths": [2, 3, 4, 5], "convolutions": 2}


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_network("stunet", ARGUMENTS)
    network.train()
    network(torch.randn(2, 64, 32, 64))
    return network.eval()


@pytest.fixture
def info():
    return CheckpointInfo(
        "stunet", ARGUMENTS, strip=StripRule(32, "context"), training={"heads": 3}, scores={"r": 0.5}, licence="MIT"
    )


@pytest.fixture
def file(tmp_path, network, info):
    path = tmp_path / "small.safetensors"
    checkpoint.save(path, network, info)
    return path


def rewrite(path, weights=None, **changes):
    """Write the file again with other weights, or with entries of its document changed."""
    with checkpoint.safe_open(path, framework="pt") as opened:
        document = json.loads(opened.metadata()[checkpoint.DOCUMENT])
    document.update(changes)
    save_file(load_file(path) if weights is None else weights, path, {checkpoint.DOCUMENT: json.dumps(document)})
    return path


def test_what_is_saved_comes_back(file, network, info):
    loaded = checkpoint.load(file)
    assert loaded.info == info
    assert loaded.name == "small.safetensors"
    strips = torch.randn(2, 64, 32, 40)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.network(strips), network(strips), rtol=1e-5, atol=1e-6)
    assert not loaded.network.training


def test_half_precision_halves_the_file_and_moves_weights_by_a_thousandth(tmp_path, file, network, info):
    half = tmp_path / "half.safetensors"
    checkpoint.save(half, network, info, half_precision=True)
    weights, rounded = network.state_dict(), checkpoint.load(half).network.state_dict()
    for name, tensor in weights.items():
        assert rounded[name].dtype == tensor.dtype
        torch.testing.assert_close(rounded[name], tensor, rtol=2**-11, atol=1e-6)
    payload = sum(tensor.numel() for tensor in weights.values())
    assert file.stat().st_size - half.stat().st_size > 1.9 * payload


def test_a_pickle_is_refused_before_it_is_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'exploded')!r}, 'w')",))

    for name, write in (("a.safetensors", pickle.dump), ("b.pt", lambda value, file: torch.save(value, file))):
        path = tmp_path / name
        with path.open("wb") as opened:
            write(Bomb(), opened)
        with pytest.raises(
            InputError, match=r"is a pickle, which can run code.*stunet_perfusion.networks.checkpoint.save"
        ):
            checkpoint.load(path)
    assert not (tmp_path / "exploded").exists()


def test_missing_truncated_and_foreign_files_are_named(tmp_path, file):
    with pytest.raises(InputError, match=r"none.safetensors: does not exist"):
        checkpoint.load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match=r"is a folder, not a file"):
        checkpoint.load(tmp_path)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="is damaged"):
        checkpoint.load(file)
    file.write_text("these are words and not weights")
    with pytest.raises(InputError, match=r"is no .safetensors file"):
        checkpoint.load(file)
    save_file({"a": torch.zeros(1)}, file)
    with pytest.raises(InputError, match="does not say what network it holds"):
        checkpoint.load(file)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format_version": 2}, "has format version 2, and this program reads version 1; update"),
        ({"format_version": None}, "has format version None"),
        ({"network": "unet"}, "'unet' is not known"),
        ({"arguments": {"depth": 3}}, "cannot be built"),
        ({"strip": {"rows": 32, "padding": "mirror"}}, "'mirror' is not known"),
        ({"strip": {"rows": 30, "padding": "zero"}}, "30 rows does not fit"),
        ({"input": {"frames": 64, "size": 256, "quantity": "ct"}}, r"needs another input \('ct'\)"),
        (
            {"input": {"frames": 64, "size": 256, "quantity": "curves, and " + "many maps, " * 30}},
            r"needs another input \('curves, and (many maps, ){2,6}many maps, …'\); use a checkpoint of this version",
        ),
        ({"input": {"frames": 64, "color": 1}}, "incomplete description"),
        ({"surprise": 1}, "incomplete description"),
        ({"network": []}, r"description \(network is \[\], not a text\)"),
        ({"arguments": []}, r"description \(arguments is \[\], not a table\)"),
        ({"arguments": {"widths": []}}, "cannot be built"),
        ({"arguments": {"widths": "wide"}}, "cannot be built"),
        ({"input": []}, "input is no table of names and values"),
        ({"input": {"frames": "64"}}, r"description \(input.frames is 64, not a whole number\)"),
        ({"strip": {"rows": True}}, r"description \(strip.rows is true, not a whole number\)"),
        ({"training": "x"}, r"description \(training is x, not a table\)"),
        ({"arguments": {"sequence_widths": [2, 2, 2, 3000]}}, "is 3000, and 1024 is the most"),
        ({"arguments": {"spatial_convolutions": 10**6}}, "is 1000000, and 16 is the most"),
        ({"input": {"frames": 64, "size": 16384}}, "input.size is 16384, and 1024 is the most"),
        ({"input": {"frames": 0, "size": 64}}, "input.frames is 0"),
        ({"training": {"log": json.loads("[" * 40 + "]" * 40)}}, "nested more than 32"),
        ({"scores": {"r": 10**30}}, "a whole number of 31 digits"),
        ({"scores": {"r": float("nan")}}, r"unreadable description \(NaN is no number\)"),
    ],
)
def test_descriptions_that_cannot_be_followed_are_refused(file, changes, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        checkpoint.load(rewrite(file, **changes))
    assert caught.value.subject == str(file)


def test_weights_of_another_network_are_refused(file):
    weights = load_file(file)
    name = "head.weight"
    with pytest.raises(InputError, match=r"wrong shape \(head.weight is \(1, 3, 1, 1\), not \(1, 2, 1, 1\)\)"):
        checkpoint.load(rewrite(file, {**weights, name: torch.zeros(1, 3, 1, 1)}))
    with pytest.raises(InputError, match=r"lacks 1 weights \(first head.weight\)"):
        checkpoint.load(rewrite(file, {key: value for key, value in weights.items() if key != name}))
    with pytest.raises(InputError, match=r"1 weights too many \(first extra\)"):
        checkpoint.load(rewrite(file, {**weights, "extra": torch.zeros(1)}))


def test_weights_that_are_no_numbers_are_refused_when_read_and_when_written(tmp_path, file, network, info):
    weights = load_file(file)
    weights["head.weight"][0, 0] = float("nan")
    with pytest.raises(InputError, match=r"not numbers \(head.weight\)"):
        checkpoint.load(rewrite(file, weights))
    network.head.bias.data.fill_(float("inf"))
    with pytest.raises(InputError, match=r"not numbers \(head.bias\)"):
        checkpoint.save(tmp_path / "bad.safetensors", network, info)
    assert not (tmp_path / "bad.safetensors").exists()


def test_only_safetensors_are_written(tmp_path, network, info):
    with pytest.raises(InputError, match=r"let it end with .safetensors"):
        checkpoint.save(tmp_path / "weights.pt", network, info)


def test_the_description_is_read_without_the_weights(file, info):
    assert checkpoint.read_info(file) == info
    assert dataclasses.asdict(checkpoint.read_info(file))["strip"] == {"rows": 32, "padding": "context"}
