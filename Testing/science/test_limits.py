"""Sizes are checked against what a file can hold, and against stated limits, before anything of that size is made."""

from __future__ import annotations

import gzip
import json
import os
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from pydicom import uid

from science.dicom_folder import write_dicom_folder
from science.small_cases import small_checkpoint
from science.synthetic import make_series
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.reading import read_map, read_series
from stunet_perfusion.runs.provenance import sha256_of_path
from stunet_perfusion.support import folders
from stunet_perfusion.support.documents import LARGEST, parse_json, read_json
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_series

MEGABYTE = 1 << 20


def refused_in_little_memory(action: Callable[[], object], sentence: str, megabytes: int = 16) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=sentence):
            action()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MEGABYTE


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".seq.nrrd"])
def test_a_series_needs_its_own_memory_and_little_more(tmp_path: Path, ending: str) -> None:
    series = make_series(frames=30, shape=(10, 64, 64))
    write_series(tmp_path / f"dsc{ending}", series)
    tracemalloc.start()
    try:
        read_series(tmp_path / f"dsc{ending}")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * series.signal.nbytes + 2 * MEGABYTE


@pytest.mark.parametrize("name", ["dsc.nii", "dsc.nii.gz"])
def test_a_header_that_promises_gigabytes(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / name, make_series(frames=16, shape=(2, 8, 8)))
    packed = name.endswith(".gz")
    content = bytearray(gzip.decompress((tmp_path / name).read_bytes()) if packed else (tmp_path / name).read_bytes())
    content[42:50] = np.array([512, 512, 40, 150], dtype="<i2").tobytes()
    # The first megabytes are there, and the rest is not.
    content += bytes(4 * MEGABYTE)
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if packed else content)
    sentence = "promises 6291 MB of voxels in" if packed else "ends before its last frame is complete"
    refused_in_little_memory(lambda: read_series(tmp_path / name, frame_interval=1.5), sentence)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("line skip: 1000000000000", "ends before the lines that its header skips"),
        ("line skip: -1", "skips -1 lines"),
        ("byte skip: 99999999999", "skips 0 lines and 99999999999 bytes"),
        ("byte skip: 50000000", "ends before its last frame"),
        ("byte skip: -400", "skips 0 lines and -400 bytes"),
        ("sizes: 9223372036854775807 2 2 2", "voxels, which need|ends before its last frame"),
        ("sizes:", "has 4 dimensions"),
        ("data file:", "does not exist"),
        ("space directions: none (1e308,0,0) (0,1e308,0) (0,0,1e308)", "a geometry that is not invertible"),
        ("space directions: none (1e-9,0,0) (0,1,0) (0,0,1)", "a geometry that is not invertible"),
        ("space origin: (1e300,0,0)", "or that no scanner has"),
        ("vox:=" + "x" * 17 * MEGABYTE, "has a header that cannot be read"),
        ("sizes:=16 2 2 2", "has a header that cannot be read"),
    ],
)
def test_nrrd_headers_that_no_file_can_follow(tmp_path: Path, field: str, sentence: str) -> None:
    path = tmp_path / "dsc.nrrd"
    fields = {
        "type": "short",
        "dimension": "4",
        "space": "left-posterior-superior",
        "sizes": "16 2 2 2",
        "space directions": "none (1,0,0) (0,1,0) (0,0,1)",
        "kinds": "list domain domain domain",
        "encoding": "raw",
        "endian": "little",
    }
    fields.pop(field.partition(":")[0], None)
    header = "\n".join(["NRRD0005", *(f"{name}: {value}" for name, value in fields.items()), field])
    path.write_bytes(header.encode() + b"\n\n" + bytes(2 * 16 * 8))
    # A header of 17 MB is read, and no more than that.
    refused_in_little_memory(lambda: read_series(path, frame_interval=1.5), sentence, 64)


def test_where_the_voxels_begin(tmp_path: Path) -> None:
    write_series(tmp_path / "dsc.nii", make_series(frames=16, shape=(2, 8, 8)))
    for offset in (np.inf, 1e30, -1.0, np.nan):
        content = bytearray((tmp_path / "dsc.nii").read_bytes())
        content[108:112] = np.float32(offset).tobytes()
        (tmp_path / "odd.nii").write_bytes(content)
        refused_in_little_memory(lambda: read_series(tmp_path / "odd.nii", frame_interval=1.5), "is not a NIfTI file")


def deflated(source: Path, target: Path, pixels: int) -> None:
    """A DICOM file that is compressed as a whole, with so many bytes of pixels, whatever its header says."""
    dataset = pydicom.dcmread(source)
    dataset.PixelData = bytes(pixels)
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.save_as(target, enforce_file_format=True)
    content = target.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    meta = pydicom.filereader.read_file_meta_info(target)
    plain, packed = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    assert meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    place = content.index(plain)
    head = bytearray(content[:place] + packed + content[place + len(plain) : start])
    head[place - 2 : place] = len(packed).to_bytes(2, "little")
    head[140:144] = (len(head) - 144).to_bytes(4, "little")
    compress = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    target.write_bytes(bytes(head) + compress.compress(content[start:]) + compress.flush())


def test_deflated_dicom_grows_no_larger_than_its_header_tells(tmp_path: Path) -> None:
    series = make_series(frames=16, shape=(1, 8, 8))
    write_dicom_folder(tmp_path / "dsc", series)
    files = sorted((tmp_path / "dsc").iterdir())
    honest = read_series(tmp_path / "dsc")
    digest = sha256_of_path(tmp_path / "dsc")
    for file in files:
        value = pydicom.dcmread(file).PixelData
        deflated(file, file, 0)
        content = file.read_bytes()
        start = 144 + int.from_bytes(content[140:144], "little")
        plain = zlib.decompress(content[start:], -zlib.MAX_WBITS)
        plain = plain[:-4] + len(value).to_bytes(4, "little") + value
        compress = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
        file.write_bytes(content[:start] + compress.compress(plain) + compress.flush())
    assert pydicom.dcmread(files[0]).file_meta.TransferSyntaxUID == uid.DeflatedExplicitVRLittleEndian
    np.testing.assert_array_equal(read_series(tmp_path / "dsc").signal, honest.signal)
    assert sha256_of_path(tmp_path / "dsc") == digest
    deflated(files[0], files[0], 160 * MEGABYTE)
    assert files[0].stat().st_size < 2 * MEGABYTE
    refused_in_little_memory(lambda: read_series(tmp_path / "dsc"), "has pixels that cannot be decoded", 150)


def test_an_image_that_no_scanner_makes(tmp_path: Path) -> None:
    write_dicom_folder(tmp_path / "dsc", make_series(frames=16, shape=(1, 8, 8)))
    file = sorted((tmp_path / "dsc").iterdir())[0]
    dataset = pydicom.dcmread(file)
    dataset.Rows = dataset.Columns = 65535
    dataset.save_as(file)
    refused_in_little_memory(lambda: read_series(tmp_path / "dsc"), "announces an image of 65535 x 65535 pixels")


def test_a_checkpoint_whose_header_is_gigabytes_long(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with open(path, "wb") as file:
        file.write((3 << 30).to_bytes(8, "little") + b"{")
        file.truncate((3 << 30) + 8)
    refused_in_little_memory(lambda: checkpoint.load(path), "its header has 3072 MB")


def test_a_network_is_built_only_of_weights_that_are_there(tmp_path: Path, monkeypatch) -> None:
    path = small_checkpoint(tmp_path / "small.safetensors")
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["stunet_perfusion"])
    document["arguments"] = {"sequence_widths": [1024, 1024, 1024, 1024]}
    header["__metadata__"]["stunet_perfusion"] = json.dumps(document)
    packed = json.dumps(header).encode()
    path.write_bytes(len(packed).to_bytes(8, "little") + packed + content[8 + length :])
    build, devices = checkpoint.build_network, []

    def watched(*arguments):
        devices.append(torch.get_default_device().type)
        return build(*arguments)

    monkeypatch.setattr(checkpoint, "build_network", watched)
    with pytest.raises(InputError, match="has weights of the wrong shape"):
        checkpoint.load(path)
    assert devices == ["meta"], "never with memory for its weights"


def test_documents_are_small_and_flat(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    refused_in_little_memory(lambda: read_json(path), "has more than 16 MB", 2 * LARGEST // MEGABYTE)
    for text in ("[" * 100_000, "[" * 40 + "]" * 40, "9" * 21, '{"a":' * 100_000):
        with pytest.raises(ValueError, match=r"nested more than 32 deep|of 21 digits|line 1"):
            parse_json(text)
    assert parse_json("[" * 30 + "]" * 30)


def test_a_folder_of_a_whole_disk(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(folders, "MOST_FILES", 10)
    for number in range(12):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(InputError, match="holds more than 10 files"):
        read_series(tmp_path)


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("a pipe with a name")
    os.mkfifo(tmp_path / "dsc.nii")
    with pytest.raises(InputError, match="is neither a file nor a folder"):
        read_map(tmp_path / "dsc.nii")
