"""One series as scanners of all makers write it: the same `DscSeries` comes out of every habit."""

from __future__ import annotations

import gzip
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from science import dicom_mosaics, dicom_multiframe
from science.dicom_habits import HABITS, ge_number_only, philips_single, siemens_single, whole_numbers
from stunet_perfusion.reading import dicom, dicom_files, read_series
from stunet_perfusion.reading.dicom import open_dicom
from stunet_perfusion.series import Grid
from stunet_perfusion.support.progress import no_progress

SERIES = whole_numbers()

#: Where nibabel keeps images of real scanners that its own tests read.
REAL_IMAGES = ("nicom", "tests", "data")


def real_image(name: str, folder: Path) -> Path:
    """An image of a real scanner, unpacked; skips the test where nibabel was installed without its tests."""
    import nibabel

    packed = Path(nibabel.__file__).parent.joinpath(*REAL_IMAGES, f"{name}.gz")
    if not packed.is_file():
        pytest.skip("needs the images that nibabel installs with its tests")
    (folder / name).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder / name


@pytest.mark.parametrize("habit", HABITS)
def test_the_same_series_comes_out_of_every_habit(tmp_path: Path, habit: str) -> None:
    HABITS[habit](tmp_path, SERIES)
    (tmp_path / "readme.txt").write_text("copied by the technician")
    back = read_series(tmp_path)
    np.testing.assert_array_equal(back.signal, SERIES.signal)
    np.testing.assert_allclose(back.times, SERIES.times, rtol=0, atol=1e-6)
    assert back.grid.matches(SERIES.grid, 1e-4)
    assert back.echo_time == pytest.approx(SERIES.echo_time, abs=1e-9)


@pytest.mark.parametrize(
    ("habit", "how"),
    [
        ("Siemens: acquisition time of every slice", "files were sorted into frames by AcquisitionTime."),
        ("Siemens: measurement number only, anonymized", "by AcquisitionNumber, 1.5 s apart (repetition time)"),
        ("Siemens: enhanced, one object", "images were sorted into frames by FrameAcquisitionDateTime."),
        ("Siemens: enhanced, one object a time point", "by FrameReferenceDateTime."),
        ("GE: trigger time, slice by slice", "by TriggerTime."),
        ("GE: times in whole seconds", "by AcquisitionTime in whole seconds, between which they are 1.5 s apart"),
        ("GE: image numbers only, slices from the top down", "by InstanceNumber, 1.5 s apart"),
        ("Philips: temporal position, rescale of every image", "by TemporalPositionIdentifier, 1.5 s apart"),
        ("Philips: dynamic scan time, phase images beside", "by DynamicScanBeginTime."),
        ("Philips: enhanced, one object, slice by slice", "by TemporalPositionIndex, 1.5 s apart"),
        ("Enhanced: offset in time only", "by TemporalPositionTimeOffset."),
        ("Enhanced: dimension index only", "by DimensionIndexValues, 1.5 s apart"),
        ("Enhanced: single images converted by an archive", "by TriggerTime."),
    ],
)
def test_the_user_is_told_by_what_the_frames_were_told_apart(tmp_path: Path, habit: str, how: str) -> None:
    HABITS[habit](tmp_path, SERIES)
    assert any(how in note for note in read_series(tmp_path).notes)


@st.composite
def grids(draw) -> Grid:
    """Slices in any direction, anywhere in a scanner."""
    direction = Rotation.from_euler("zyx", [draw(st.floats(-180, 180)) for _ in range(3)], degrees=True).as_matrix()
    spacing = [draw(st.floats(0.4, 8)) for _ in range(3)]
    origin = [draw(st.floats(-300, 300)) for _ in range(3)]
    return Grid.from_lps((4, 5, 6), np.array(origin), np.array(spacing), direction)


@pytest.mark.parametrize(
    "write",
    [
        siemens_single,
        ge_number_only,
        philips_single,
        dicom_mosaics.ascending,
        dicom_mosaics.descending,
        dicom_multiframe.philips_one_object,
        dicom_multiframe.time_offset_only,
    ],
)
@given(grid=grids())
@settings(max_examples=3, deadline=None)
def test_slices_in_any_direction(tmp_path_factory, write, grid: Grid) -> None:
    series = whole_numbers(16, grid.shape, grid)
    folder = tmp_path_factory.mktemp("dicom")
    write(folder, series)
    back = read_series(folder)
    assert back.grid.matches(grid, 1e-4)
    np.testing.assert_array_equal(back.signal, series.signal)


def test_a_mosaic_of_a_real_scanner_lies_where_nibabel_puts_it(tmp_path: Path) -> None:
    path = real_image("siemens_dwi_1000.dcm", tmp_path)
    recording = open_dicom(path, no_progress)
    other = nibabel_wrapper(path)
    # nibabel's first index is that of the row, and its patient is left-posterior-superior.
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ other.affine @ np.eye(4)[[1, 0, 2, 3]]
    assert recording.grid.shape == (48, 128, 128)
    # The normal of the private header has eight digits, that of the orientation six: 141 mm higher it is 0.2 um.
    np.testing.assert_allclose(recording.grid.ijk_to_ras, affine, rtol=0, atol=3e-4)
    np.testing.assert_array_equal(recording.load(no_progress)[0], np.transpose(other.get_data(), (2, 0, 1)))
    assert recording.echo_time == pytest.approx(0.093)


def nibabel_wrapper(path: Path):
    """What nibabel makes of an image. It warns that its DICOM readers are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom import dicomwrappers

        return dicomwrappers.wrapper_from_data(pydicom.dcmread(path))


def test_an_enhanced_object_of_a_real_scanner_lies_where_nibabel_puts_it(tmp_path: Path) -> None:
    """Its slices are sagittal and come against their normal. The file has no pixels."""
    path = real_image("philips_mprage.dcm", tmp_path)
    recording = open_dicom(path, no_progress)
    assert recording.grid.shape == (176, 256, 256)
    assert recording.echo_time == pytest.approx(3.513e-3)
    groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    positions = np.array([frame.PlanePositionSequence[0].ImagePositionPatient for frame in groups], dtype=float)
    first = np.abs(positions - recording.grid.lps_origin).max(axis=1).argmin()
    assert first in (0, 175)
    k = np.abs(np.arange(176) - first)
    steps = recording.grid.lps_direction[:, 2] * recording.grid.spacing[2]
    np.testing.assert_allclose(positions, recording.grid.lps_origin + k[:, None] * steps, atol=1e-3)


@pytest.mark.parametrize("write", [dicom_multiframe.philips_one_object, dicom_mosaics.ascending])
def test_reading_needs_little_more_memory_than_the_series(tmp_path: Path, write) -> None:
    series = whole_numbers(32, (8, 128, 128))
    write(tmp_path, series)
    tracemalloc.start()
    try:
        back = read_series(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * back.signal.nbytes


@pytest.mark.parametrize("write", [siemens_single, dicom_mosaics.ascending, dicom_multiframe.philips_one_object])
def test_every_file_is_opened_twice_and_no_oftener(tmp_path: Path, write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for its header, once for all of its pixels."""
    write(tmp_path, SERIES)
    headers, pixels = Counter(), Counter()
    read_file, stored_frames = dicom_files.read_file, dicom.stored_frames
    monkeypatch.setattr(dicom_files, "read_file", lambda path: headers.update([path]) or read_file(path))
    monkeypatch.setattr(dicom, "stored_frames", lambda path, of: pixels.update([path]) or stored_frames(path, of))
    read_series(tmp_path)
    assert headers == pixels == Counter(tmp_path.iterdir())
