"""Any bytes, one line: whatever is in a file from outside, a verb says in one line why it does not take it.

Hypothesis changes good files: bytes, fields of headers, values of documents and cells of tables. `--fuzz N` says how
many damaged files each kind gets; `make fuzz` makes many more than the suite does.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid

from science.dicom_folder import write_dicom_folder
from science.small_cases import small_checkpoint
from science.synthetic import make_series
from stunet_perfusion.cases import read_cases
from stunet_perfusion.cli import main
from stunet_perfusion.networks.checkpoint import load
from stunet_perfusion.reading import read_map, read_series
from stunet_perfusion.reading.report import read_report
from stunet_perfusion.runs.repeat import repeat
from stunet_perfusion.support.errors import StUNetPerfusionError
from stunet_perfusion.training.settings import read_settings
from stunet_perfusion.worker.parsing import parse_line, parse_request
from stunet_perfusion.writing import write_map, write_series

# Libraries warn of what they read; the command line is quiet about that.
pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "80"))

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

#: For folders of files, which take ten times as long.
of_folders = settings(fuzzed, max_examples=max(10, EXAMPLES // 4))

#: Numbers at the edges of what formats, processors and Python's own parsers take.
ODD_NUMBERS = st.sampled_from(
    [0, -1, 1, 2**15, 2**31, 2**63, 2**64, -(2**63), 10**30, 1e308, -1e308, 1e-320, float("inf"), float("nan")]
)
ODD_TEXTS = st.one_of(
    st.sampled_from(["", " ", "\0", "/", "..", "../..", "nan", "inf", "-inf", "1e999", "9" * 5000, "\x1b[31m", "=1+1"]),
    st.sampled_from(["\ud800", "x" * 70000, "none", "LIST", "(", "(0,0,0) (0,0,0) (0,0,0)", "\u202egnp"]),
    st.text(max_size=12),
)
DEEP = st.sampled_from(["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "9" * 5000, "[" * 5000])
ODD_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), ODD_NUMBERS, ODD_TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)

damages = st.lists(
    st.tuples(st.integers(0, 2**20), st.sampled_from(["flip", "cut", "insert", "zero", "ones"]), st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, changes: list[tuple[int, str, bytes]], first: int = 2**20) -> bytes:
    """The bytes with changes, which fall into the first ones."""
    data = bytearray(content)
    for place, how, inserted in changes:
        place %= max(1, min(len(data), first))
        if how == "flip" and data:
            data[place] ^= 1 << (len(inserted) % 8)
        elif how == "cut":
            del data[place:]
        elif how == "insert":
            data[place:place] = inserted
        else:
            data[place : place + 8] = bytes([0 if how == "zero" else 255]) * len(data[place : place + 8])
    return bytes(data)


def taken_or_refused(action: Callable[[], object]) -> None:
    """It does what it is for, or says in one line why not."""
    with suppress(StUNetPerfusionError):
        action()


def odd_json(document: Any, path: list[int], value: Any) -> str:
    """A document with one of its values changed."""
    document = json.loads(json.dumps(document))
    place = document
    for step in path:
        keys = list(place) if isinstance(place, dict) else range(len(place)) if isinstance(place, list) else []
        if not keys:
            break
        key = keys[step % len(keys)]
        if step == path[-1] or not isinstance(place[key], dict | list):
            place[key] = value
            break
        place = place[key]
    return json.dumps(document)


paths = st.lists(st.integers(0, 30), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good file of every kind."""
    folder = tmp_path_factory.mktemp("good")
    series = make_series(frames=18, shape=(2, 8, 8))
    for name in ("dsc.nii", "dsc.nii.gz", "dsc.seq.nrrd"):
        write_series(folder / name, series)
    write_map(folder / "map.nrrd", series.signal[0], series.grid)
    raw = make_series(frames=18, shape=(1, 4, 4))
    write_dicom_folder(folder / "dicom", raw)
    first = sorted((folder / "dicom").iterdir())[0]
    shutil.copy(first, folder / "one.dcm")
    dataset = pydicom.dcmread(first)
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(folder / "deflated.dcm", enforce_file_format=True)
    small_checkpoint(folder / "small.safetensors")
    (folder / "cases.csv").write_text("case,subject,part,series,echo_time,grade\none,p,test,dsc.nii,0.03,4\n")
    (folder / "train.toml").write_text(
        "[network]\nname = 'hess'\n[cases]\ntable = 'cases.csv'\n[optimization]\nseed = 1\n"
    )
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real report with its maps."""
    folder = tmp_path_factory.mktemp("run")
    series = make_series(frames=40, shape=(2, 16, 16), noise=1.0)
    write_series(folder / "dsc.nii", series)
    write_map(folder / "mask.nii", np.ones((2, 16, 16), bool), series.grid)
    words = ["reference", str(folder / "dsc.nii"), "--mask", str(folder / "mask.nii"), "--output", str(folder / "out")]
    assert main([*words, "--json"]) == 0
    return folder / "out" / "report.json"


@pytest.mark.parametrize("name", ["dsc.nii", "dsc.nii.gz", "dsc.seq.nrrd", "map.nrrd"])
def test_images(good: Path, tmp_path: Path, name: str) -> None:
    content = (good / name).read_bytes()
    target = tmp_path / name
    read = read_map if name.startswith("map") else read_series

    @fuzzed
    @given(damages)
    def check(changes: list[tuple[int, str, bytes]]) -> None:
        target.write_bytes(damaged(content, changes, 360))
        taken_or_refused(lambda: read(target, **({} if read is read_map else {"frame_interval": 1.5})))

    check()


def test_what_is_inside_of_compressed_images(good: Path, tmp_path: Path) -> None:
    import gzip

    content = (good / "dsc.nii").read_bytes()
    target = tmp_path / "dsc.nii.gz"

    @fuzzed
    @given(damages)
    def check(changes: list[tuple[int, str, bytes]]) -> None:
        target.write_bytes(gzip.compress(damaged(content, changes, 352), 1))
        taken_or_refused(lambda: read_series(target, frame_interval=1.5))

    check()


NRRD_FIELDS = (
    *("type", "dimension", "sizes", "space", "space directions", "space origin", "kinds", "labels", "units"),
    *("encoding", "endian", "line skip", "byte skip", "data file", "spacings", "axis 0 index values"),
)


def test_fields_of_nrrd_headers(good: Path, tmp_path: Path) -> None:
    header, _, voxels = (good / "dsc.seq.nrrd").read_bytes().partition(b"\n\n")
    lines = header.decode().splitlines()
    target = tmp_path / "dsc.nrrd"
    values = st.one_of(
        ODD_TEXTS,
        ODD_NUMBERS.map(str),
        st.sampled_from(
            ["18 0 8 2", "18 8 8 9223372036854775807", "raw", "bzip2", "(1e308,0,0) (0,1,0) (0,0,1)", "-400"]
        ),
    )

    @fuzzed
    @given(st.sampled_from(NRRD_FIELDS), st.booleans(), values)
    def check(name: str, attribute: bool, value: str) -> None:
        kept = [line for line in lines if not line.startswith(name + ":")]
        field = f"{name}:{'=' if attribute else ' '}{value}".replace("\n", " ")
        text = "\n".join([*kept, field]).encode("utf-8", "surrogatepass")
        target.write_bytes(text + b"\n\n" + voxels)
        taken_or_refused(lambda: read_series(target, frame_interval=1.5))

    check()


@pytest.mark.parametrize("name", ["one.dcm", "deflated.dcm"])
def test_dicom(good: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "dicom"
    shutil.copytree(good / "dicom", folder)
    target = sorted(folder.iterdir())[0]
    content = (good / name).read_bytes()
    meta = 144 + int.from_bytes(content[140:144], "little")

    @of_folders
    @given(damages, st.booleans())
    def check(changes: list[tuple[int, str, bytes]], inside: bool) -> None:
        if name == "deflated.dcm" and inside:
            # What is inside of the compression, and not its bytes, is damaged.
            plain = zlib.decompress(content[meta:], -zlib.MAX_WBITS)
            packed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            target.write_bytes(content[:meta] + packed.compress(damaged(plain, changes)) + packed.flush())
        else:
            target.write_bytes(damaged(content, changes))
        taken_or_refused(lambda: read_series(folder))

    check()


DICOM_TAGS = ("NumberOfFrames", "Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "EchoTime", "RescaleSlope")
DICOM_TAGS += ("AcquisitionTime", "SeriesDescription", "ImageOrientationPatient", "BitsAllocated", "SamplesPerPixel")


def test_values_of_dicom_headers(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dicom"
    shutil.copytree(good / "dicom", folder)
    target = sorted(folder.iterdir())[0]

    @of_folders
    @given(st.sampled_from(DICOM_TAGS), st.one_of(ODD_NUMBERS, ODD_TEXTS))
    def check(tag: str, value: Any) -> None:
        dataset = pydicom.dcmread(good / "one.dcm")
        with pydicom.config.disable_value_validation():
            try:
                setattr(dataset, tag, value)
                dataset.save_as(target)
            except Exception:
                return  # pydicom cannot write it
        taken_or_refused(lambda: read_series(folder))

    check()


def test_sidecars(good: Path, tmp_path: Path) -> None:
    shutil.copy(good / "dsc.nii", tmp_path)
    keys = ("EchoTime", "RepetitionTime", "VolumeTiming", "FrameTimesStart")

    @fuzzed
    @given(st.one_of(st.tuples(st.sampled_from(keys), ODD_VALUES), DEEP, st.binary(max_size=20)))
    def check(content: Any) -> None:
        if isinstance(content, tuple):
            content = json.dumps({"EchoTime": 0.03, "RepetitionTime": 1.5} | {content[0]: content[1]})
        elif isinstance(content, str):
            content = '{"EchoTime": ' + content + "}"
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "dsc.json").write_bytes(data)
        taken_or_refused(lambda: read_series(tmp_path / "dsc.nii"))

    check()


def test_reports(report: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(report.parent.parent, folder)
    document = json.loads(report.read_text())
    target = folder / "out" / "report.json"

    @fuzzed
    @given(st.one_of(st.tuples(paths, ODD_VALUES), DEEP, st.binary(max_size=20)))
    def check(content: Any) -> None:
        if isinstance(content, tuple):
            content = odd_json(document, *content)
        elif isinstance(content, str):
            content = '{"maps": {}, "provenance": ' + content + "}"
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        taken_or_refused(lambda: read_report(target).provenance(target))

    check()


def test_repetitions(report: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(report.parent.parent, folder)
    document = json.loads(report.read_text())
    target = folder / "out" / "report.json"

    @settings(fuzzed, max_examples=max(10, EXAMPLES // 6))
    @given(paths, ODD_VALUES)
    def check(path: list[int], value: Any) -> None:
        changed = document | {"provenance": json.loads(odd_json(document["provenance"], path, value))}
        target.write_text(json.dumps(changed))
        taken_or_refused(lambda: repeat(target))

    check()


def test_checkpoints(good: Path, tmp_path: Path) -> None:
    content = (good / "small.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["stunet_perfusion"])
    target = tmp_path / "small.safetensors"

    @fuzzed
    @given(st.one_of(st.tuples(paths, ODD_VALUES), DEEP, damages))
    def check(change: Any) -> None:
        if isinstance(change, list):
            target.write_bytes(damaged(content, change, 8 + length))
        else:
            text = '{"format_version": 1, "network": ' + change + "}" if isinstance(change, str) else ""
            text = text or odd_json(document, *change)
            metadata = header["__metadata__"] | {"stunet_perfusion": text}
            packed = json.dumps(header | {"__metadata__": metadata}).encode()
            target.write_bytes(len(packed).to_bytes(8, "little") + packed + content[8 + length :])
        taken_or_refused(lambda: load(target))

    check()


def test_tables(good: Path, tmp_path: Path) -> None:
    rows = [line.split(",") for line in (good / "cases.csv").read_text().splitlines()]
    target = tmp_path / "cases.csv"

    @fuzzed
    @given(st.one_of(st.tuples(st.integers(0, 1), st.integers(0, 5), ODD_TEXTS), damages))
    def check(change: Any) -> None:
        if isinstance(change, list):
            target.write_bytes(damaged((good / "cases.csv").read_bytes(), change))
        else:
            changed = [list(row) for row in rows]
            changed[change[0]][change[1]] = change[2]
            target.write_bytes("\n".join(",".join(row) for row in changed).encode("utf-8", "surrogatepass"))
        taken_or_refused(lambda: read_cases(target))

    check()


def test_settings(good: Path, tmp_path: Path) -> None:
    target = tmp_path / "train.toml"
    text = (good / "train.toml").read_text()
    names = ("network.widths", "optimization.seed", "optimization.learning_rate", "dose.shares", "strips.rows", "x")

    @fuzzed
    @given(st.one_of(st.tuples(st.sampled_from(names), ODD_VALUES), DEEP, damages))
    def check(change: Any) -> None:
        if isinstance(change, tuple):
            target.write_text(f"{change[0]} = {json.dumps(change[1])}\n" + text)
        elif isinstance(change, str):
            target.write_text(f"x = {change}\n" + text)
        else:
            target.write_bytes(damaged(text.encode(), change))
        taken_or_refused(lambda: read_settings(target))

    check()


def test_lines_of_the_protocol() -> None:
    line = {"id": 1, "do": "open", "handle": "a", "signal": "a.npy", "times": [0, 1], "ijk_to_ras": [[1]], "name": "x"}

    @fuzzed
    @given(st.one_of(st.tuples(paths, ODD_VALUES), DEEP, st.binary(max_size=40)))
    def check(change: Any) -> None:
        if isinstance(change, tuple):
            content = odd_json(line, *change).encode()
        else:
            content = change if isinstance(change, bytes) else b'{"id": 1, "do": ' + change.encode() + b"}"
        taken_or_refused(lambda: parse_request(parse_line(content)))

    check()
