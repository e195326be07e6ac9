"""The description of a checkpoint, read without the libraries that read its weights: both must find the same."""

import dataclasses
import json
import sys
from subprocess import run

import pytest
import torch
from safetensors.torch import load_file, save_file

from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint_document import CheckpointInfo, describe, read_info
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint

ARGUMENTS = {"sequence_widths": [2, 2, 2, 2]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.safetensors"
    checkpoint.save(path, build_network("hess", ARGUMENTS), CheckpointInfo("hess", ARGUMENTS))
    return path


def test_the_shipped_checkpoint_is_described_as_its_header_says():
    path = shipped_checkpoint()
    with checkpoint.safe_open(path, framework="pt") as opened:
        document = json.loads(opened.metadata()[checkpoint.DOCUMENT])
    described = describe(path)
    assert document.pop("format_version") == 1
    assert {name: described.pop(name) for name in ("file", "name", "size_bytes")} == {
        "file": str(path),
        "name": "stunet.safetensors",
        "size_bytes": path.stat().st_size,
    }
    assert described == document
    assert described == dataclasses.asdict(checkpoint.load(path).info)


def test_no_byte_can_be_missing_or_too_many(file):
    """Wherever the file is cut, it is refused, as it is by the library."""
    whole = file.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for length in (0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"is no .safetensors file, or is damaged"):
            read_info(file)
    file.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match=r"is damaged \(it has \d+ bytes instead of \d+\)"):
        read_info(file)


@pytest.mark.parametrize(
    "header",
    [b"{}", b"[]", b'{"a"}', b'{"__metadata__": []}', b'{"a": 1}', b'{"a": {"data_offsets": "x"}}', b"{" * 10_000],
)
def test_headers_of_any_kind_are_refused_in_one_sentence(file, header):
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(InputError) as caught:
        read_info(file)
    assert caught.value.subject == str(file)


def test_a_header_whose_length_begins_as_a_pickle_does_is_read(tmp_path, file):
    """One header in 32 has a length that ends with the byte 0x80, with which every pickle begins."""
    weights = load_file(file)
    lengths = set()
    for padding in range(0, 300, 4):
        info = dataclasses.replace(read_info(file), licence="x" * padding)
        document = json.dumps({"format_version": 1, **dataclasses.asdict(info)})
        path = tmp_path / "padded.safetensors"
        save_file(weights, path, {checkpoint.DOCUMENT: document})
        lengths.add(path.read_bytes()[0])
        assert read_info(path) == info
    assert 0x80 in lengths
    path.write_bytes(b"\x80\x04\x95" + bytes(100))
    with pytest.raises(InputError, match="is a pickle"):
        read_info(path)
    torch.save({"a": 1}, path)
    with pytest.raises(InputError, match="is a pickle"):
        read_info(path)


def test_it_is_read_without_torch():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['safetensors'] = None;"
        "from stunet_perfusion.networks.checkpoint_document import describe;"
        "from stunet_perfusion.support.resources import shipped_checkpoint;"
        "print(describe(shipped_checkpoint())['network'])"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "stunet"
