"""Frame times and TE: from files, sidecars and options, in all the units that are found in the wild."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from science.synthetic import make_series
from stunet_perfusion.reading import read_series
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.writing import write_series

SERIES = make_series(20, (3, 6, 5), frame_interval=1.5, noise=2)


def write_nifti(path: Path, interval: float, unit: str) -> Path:
    """As scanners' converters do it, through nibabel itself."""
    image = nibabel.Nifti1Image(np.asarray(SERIES.signal.T), SERIES.grid.ijk_to_ras, dtype=np.float32)
    image.header.set_zooms((2, 2, 5, interval))
    image.header["xyzt_units"] = 2 + {"unknown": 0, "sec": 8, "msec": 16, "usec": 24, "hz": 32}[unit]
    nibabel.save(image, path)
    return path


def write_nrrd(path: Path, list_axis: int = 0, encoding: str = "gzip", **fields) -> Path:
    """As 3D Slicer does it, through pynrrd."""
    spatial = SERIES.grid.lps_direction * SERIES.grid.spacing
    directions, kinds = [*spatial.T], ["domain"] * 3
    directions.insert(list_axis, np.full(3, np.nan))
    kinds.insert(list_axis, "list")
    header = {
        "space": "left-posterior-superior",
        "space directions": np.array(directions),
        "space origin": SERIES.grid.lps_origin,
        "kinds": kinds,
        "encoding": encoding,
    }
    data = np.transpose(SERIES.signal, (3, 2, 1, 0))
    nrrd.write(str(path), np.moveaxis(data, -1, list_axis), {**header, **fields})
    return path


def words(values) -> str:
    return " ".join(f"{value:.9g}" for value in values)


@pytest.mark.parametrize(("interval", "unit"), [(1.5, "sec"), (1500, "msec"), (1.5e6, "usec")])
def test_nifti_units_of_time(tmp_path: Path, interval: float, unit: str) -> None:
    series = read_series(write_nifti(tmp_path / "dsc.nii.gz", interval, unit))
    np.testing.assert_allclose(series.times, 1.5 * np.arange(20), rtol=1e-9)
    assert series.notes == ()
    np.testing.assert_array_equal(series.signal, SERIES.signal)


@pytest.mark.parametrize(("interval", "unit"), [(1.5, "seconds"), (1500, "milliseconds")])
def test_a_unit_that_is_not_given_is_decided_and_noted(tmp_path: Path, interval: float, unit: str) -> None:
    series = read_series(write_nifti(tmp_path / "dsc.nii", interval, "unknown"))
    np.testing.assert_allclose(series.times, 1.5 * np.arange(20), rtol=1e-9)
    assert unit in series.notes[0]


@pytest.mark.parametrize(("interval", "unit"), [(0, "sec"), (1, "unknown"), (1.5, "hz")])
def test_a_frame_interval_that_nobody_gives_is_asked_for(tmp_path: Path, interval: float, unit: str) -> None:
    path = write_nifti(tmp_path / "dsc.nii", interval, unit)
    with pytest.raises(InputError, match=r"dsc\.nii: does not say how much time.*; give") as caught:
        read_series(path)
    assert caught.value.settings == (Setting.FRAME_INTERVAL,)
    assert read_series(path, frame_interval=2).times.tolist() == [2.0 * frame for frame in range(20)]


def test_stored_integers_are_scaled(tmp_path: Path) -> None:
    stored = np.rint((SERIES.signal + 10) / 0.25).astype(">i2")
    header = nibabel.Nifti1Header(endianness=">")
    header["magic"], header["vox_offset"] = b"n+1", 352
    header.set_data_dtype(np.int16)
    header.set_data_shape(SERIES.signal.shape[::-1])
    header.set_zooms((2, 2, 5, 1.5))
    header.set_xyzt_units("mm", "sec")
    header.set_slope_inter(0.25, -10)
    with gzip.open(tmp_path / "dsc.nii.gz", "wb") as file:
        header.write_to(file)
        file.write(stored.tobytes())
    np.testing.assert_array_equal(read_series(tmp_path / "dsc.nii.gz").signal, 0.25 * stored.astype(float) - 10)


@pytest.mark.parametrize("list_axis", [0, 3])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_sequences_with_uneven_times(tmp_path: Path, list_axis: int, encoding: str) -> None:
    taken = np.cumsum(np.linspace(0.8, 2.2, 20))
    units = ["mm"] * 3
    units.insert(list_axis, "ms")
    key = {f"axis {list_axis} index values": words(1000 * taken), f"axis {list_axis} index type": "numeric"}
    path = write_nrrd(tmp_path / "dsc.seq.nrrd", list_axis, encoding, units=units, **key)
    series = read_series(path)
    np.testing.assert_allclose(series.times, taken, rtol=1e-8)
    np.testing.assert_array_equal(series.signal, SERIES.signal)
    assert series.grid.matches(SERIES.grid, 1e-6)
    assert "not evenly spaced" in series.notes[-1]
    assert "missing" not in series.notes[-1]


def test_frame_labels_of_a_multivolume(tmp_path: Path) -> None:
    fields = {
        "axis 0 index values": words(range(20)),
        "axis 0 index type": "numeric",
        "MultiVolume.FrameLabels": ",".join(str(1500 * frame) for frame in range(20)),
        "MultiVolume.FrameIdentifyingDICOMTagName": "AcquisitionTime",
        "MultiVolume.FrameIdentifyingDICOMTagUnits": "ms",
        "MultiVolume.DICOM.EchoTime": "29.5",
        "MultiVolume.DICOM.RepetitionTime": "19",
    }
    series = read_series(write_nrrd(tmp_path / "dsc.seq.nrrd", **fields))
    np.testing.assert_allclose(series.times, 1.5 * np.arange(20))
    assert series.echo_time == pytest.approx(0.0295)


def test_frame_labels_that_are_no_times_are_not_taken_for_them(tmp_path: Path) -> None:
    fields = {
        "MultiVolume.FrameLabels": ",".join(str(5 * frame) for frame in range(20)),
        "MultiVolume.FrameIdentifyingDICOMTagName": "FlipAngle",
        "MultiVolume.DICOM.RepetitionTime": "1800",
    }
    np.testing.assert_allclose(read_series(write_nrrd(tmp_path / "dsc.nrrd", **fields)).times, 1.8 * np.arange(20))


def test_numbers_of_frames_are_no_times(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "dsc.seq.nrrd", **{"axis 0 index values": words(range(20))})
    with pytest.raises(InputError, match="the time between frames") as caught:
        read_series(path)
    assert caught.value.settings == (Setting.FRAME_INTERVAL,)


def test_nonsense_times_are_refused_with_a_reason(tmp_path: Path) -> None:
    labels = {"MultiVolume.FrameLabels": words(10 * np.arange(20)).replace(" ", ",")}
    path = write_nrrd(tmp_path / "dsc.seq.nrrd", **labels, **{"MultiVolume.FrameIdentifyingDICOMTagUnits": "ms"})
    with pytest.raises(InputError, match=r"has 0\.01 s between frames"):
        read_series(path)


def test_four_domain_axes_as_simpleitk_writes_them(tmp_path: Path) -> None:
    volumes = [sitk.GetImageFromArray(volume) for volume in SERIES.signal]
    for volume in volumes:
        volume.SetOrigin(SERIES.grid.lps_origin.tolist())
        volume.SetSpacing(SERIES.grid.spacing.tolist())
        volume.SetDirection(SERIES.grid.lps_direction.ravel().tolist())
    sitk.WriteImage(sitk.JoinSeries(volumes, 0.0, 1.5), str(tmp_path / "dsc.nrrd"))
    series = read_series(tmp_path / "dsc.nrrd")
    np.testing.assert_array_equal(series.signal, SERIES.signal)
    np.testing.assert_allclose(series.times, 1.5 * np.arange(20))
    assert series.grid.matches(SERIES.grid, 1e-4)


def test_a_ras_header_with_its_data_in_another_file(tmp_path: Path) -> None:
    flip = np.array([-1, -1, 1])
    directions = np.vstack([np.full((1, 3), np.nan), (SERIES.grid.lps_direction * SERIES.grid.spacing).T * flip])
    fields = {
        "space": "right-anterior-superior",
        "space directions": directions,
        "space origin": SERIES.grid.lps_origin * flip,
        "units": ["s", "", "", ""],
        "axis 0 index values": words(SERIES.times),
    }
    series = read_series(write_nrrd(tmp_path / "dsc.nhdr", **fields))
    assert series.grid.matches(SERIES.grid, 1e-6)
    np.testing.assert_array_equal(series.signal, SERIES.signal)


def test_the_sidecar_overrules_the_file_and_options_the_sidecar(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "dsc.nii.gz", 1.5, "sec")
    (tmp_path / "dsc.json").write_text(json.dumps({"EchoTime": 0.032, "RepetitionTime": 1.7}))
    series = read_series(path)
    assert (series.echo_time, series.frame_interval) == (0.032, pytest.approx(1.7))
    assert "1.7 s by dsc.json, not 1.5 s" in series.notes[0]
    series = read_series(path, echo_time=0.04, frame_interval=2.0)
    assert (series.echo_time, series.frame_interval) == (0.04, 2.0)


def test_uneven_times_of_the_file_are_kept_beside_an_agreeing_repetition_time(tmp_path: Path) -> None:
    taken = 1.5 * np.arange(20) + np.where(np.arange(20) > 12, 0.6, 0)
    write_series(tmp_path / "dsc.seq.nrrd", type(SERIES)(SERIES.signal, taken, SERIES.grid))
    (tmp_path / "dsc.json").write_text('{"RepetitionTime": 1.5}')
    np.testing.assert_allclose(read_series(tmp_path / "dsc.seq.nrrd").times, taken)


@pytest.mark.parametrize("key", ["VolumeTiming", "FrameTimesStart", "FrameTimes"])
def test_times_of_single_frames_in_the_sidecar(tmp_path: Path, key: str) -> None:
    taken = np.cumsum(np.linspace(1, 2, 20))
    path = write_nifti(tmp_path / "dsc.nii.gz", 1.5, "sec")
    (tmp_path / "dsc.json").write_text(json.dumps({key: taken.tolist()}))
    np.testing.assert_array_equal(read_series(path).times, taken)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ('{"EchoTime": 30}', r"dsc\.json: EchoTime: is 30 s.*milliseconds and should be in seconds, 0\.03"),
        ('{"RepetitionTime": 1500}', r"RepetitionTime: is 1500 s.*should be in seconds, 1\.5"),
        ('{"RepetitionTime": -1}', r"RepetitionTime: is -1 s"),
        ('{"RepetitionTime": NaN}', r"RepetitionTime: is nan s"),
        ('{"EchoTime": "long"}', r'EchoTime: is "long"; write one number'),
        ('{"EchoTime": [0.01, 0.03]}', r"EchoTime: is \[0\.01, 0\.03\]; write one number"),
        ('{"VolumeTiming": [0, 1.5]}', r"VolumeTiming: is not a list of 20 numbers"),
        ('{"EchoTime": 0.03', r"is not readable as JSON"),
        ("[]", r"holds no JSON object"),
    ],
)
def test_nonsense_in_the_sidecar(tmp_path: Path, document: str, sentence: str) -> None:
    path = write_nifti(tmp_path / "dsc.nii.gz", 1.5, "sec")
    (tmp_path / "dsc.json").write_text(document)
    with pytest.raises(InputError, match=sentence):
        read_series(path)


def test_an_option_mends_a_nonsense_sidecar(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "dsc.nii.gz", 1.5, "sec")
    (tmp_path / "dsc.json").write_text('{"EchoTime": 30, "RepetitionTime": 1500}')
    series = read_series(path, echo_time=0.03, frame_interval=1.5)
    assert (series.echo_time, series.frame_interval) == (0.03, 1.5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"echo_time": 30}, r"echo time: is 30 s.*0\.03"),
        ({"frame_interval": 1500}, r"frame interval: is 1500 s.*1\.5"),
        ({"frame_interval": 0}, r"frame interval: is 0 s"),
        ({"frame_interval": float("nan")}, r"frame interval: is nan s"),
    ],
)
def test_nonsense_options(tmp_path: Path, options: dict, sentence: str) -> None:
    path = write_nifti(tmp_path / "dsc.nii.gz", 1.5, "sec")
    with pytest.raises(InputError, match=sentence):
        read_series(path, **options)


@pytest.mark.parametrize(("frame", "sentence"), [(6, r"frame 7 \(9 s\) repeats"), (4, r"frame 7 \(6 s\) is earlier")])
def test_times_that_repeat_or_go_back(tmp_path: Path, frame: int, sentence: str) -> None:
    taken = 1.5 * np.arange(20)
    taken[7] = taken[frame]
    path = write_nifti(tmp_path / "dsc.nii.gz", 1.5, "sec")
    (tmp_path / "dsc.json").write_text(json.dumps({"VolumeTiming": taken.tolist()}))
    with pytest.raises(InputError, match=sentence):
        read_series(path)
