"""What an export is given: series as scanners write them, grids in any order, and everything that it refuses."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from science import dicom_habits, dicom_mosaics, dicom_multiframe
from science.dicom_export_case import (
    FRAMES,
    GRIDS,
    ORIGIN,
    SHAPE,
    grid_named,
    known_maps,
    series_of,
    validator_errors,
    write_source,
)
from stunet_perfusion.dicom_export import export as export_module
from stunet_perfusion.dicom_export import export_maps, read_source
from stunet_perfusion.dicom_export.display import Window, stored_as_integers
from stunet_perfusion.dicom_export.planes import brought_onto, planes_of, right_handed
from stunet_perfusion.dicom_export.source import Source, SourceFile
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError, OutputError
from stunet_perfusion.support.progress import Cancelled

pytest.importorskip("highdicom", reason="needs highdicom: pip install 'stunet-perfusion[dicom]'")

MAPS = known_maps()


@given(
    arrays(np.float32, (2, 3, 4), elements=st.floats(-50, 50, width=32)),
    st.floats(1e-3, 100),
)
@settings(max_examples=60, deadline=None)
def test_integers_keep_a_ten_thousandth_of_the_window(values: np.ndarray, width: float) -> None:
    stored = stored_as_integers(values, Window(0, width))
    back = stored.integers * stored.slope
    inside = np.abs(values) <= 6.5 * width
    assert np.abs(back - values)[inside].max(initial=0) <= 1.01e-4 * width
    assert (back[values == 0] == 0).all()
    assert stored.clipped == 0 or not inside.all()
    assert (np.abs(back) <= np.abs(values) + 1.01e-4 * width).all()
    assert float(f"{stored.slope:.10g}") == stored.slope


@given(
    st.permutations(range(3)),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.sampled_from(GRIDS),
)
@settings(max_examples=40, deadline=None)
def test_a_map_with_its_axes_in_another_order_finds_back(order, flips, name: str) -> None:
    """As conversion to NIfTI may leave it. Voxels of the reordered map are placed one by one."""
    target, volume = grid_named(name), MAPS["cbv_standardized"]
    turned = np.flip(volume.transpose(order), [axis for axis, flip in enumerate(flips) if flip])

    def place_of(*index: int) -> np.ndarray:
        """Patient coordinates of a voxel of the reordered map."""
        back = [n - 1 - i if flip else i for i, flip, n in zip(index, flips, turned.shape, strict=True)]
        original = np.empty(3)
        original[list(order)] = back
        return target.ijk_to_ras @ [*original[::-1], 1]

    corner = place_of(0, 0, 0)
    steps = [place_of(*np.eye(3, dtype=int)[axis]) - corner for axis in (2, 1, 0)]
    grid = Grid(turned.shape, np.column_stack([*steps, corner]))
    found = brought_onto(turned, grid, target)
    assert found is not None
    np.testing.assert_array_equal(found, volume)
    # Without a source, slices follow their normal, and every voxel stays where it is.
    upright, own = right_handed(turned, grid, "map")
    assert np.linalg.det(own.lps_direction) == pytest.approx(1)
    index = np.argwhere(upright == volume.max())[0]
    same = np.argwhere(turned == volume.max())[0]
    np.testing.assert_allclose(own.ijk_to_ras @ [*index[::-1], 1], grid.ijk_to_ras @ [*same[::-1], 1], atol=1e-4)
    planes = planes_of(own)
    assert all(len(repr(number)) <= 16 for number in [*planes.positions.ravel().tolist(), *planes.orientation.tolist()])


def test_a_map_at_another_place_does_not_find_back() -> None:
    target = grid_named("axial")
    moved = target.ijk_to_ras.copy()
    moved[0, 3] += 1.71875
    assert brought_onto(MAPS["cbv"], Grid(SHAPE, moved), target) is None


@pytest.mark.parametrize(
    ("write", "files"),
    [
        (dicom_multiframe.siemens_one_object, 1),
        (dicom_multiframe.philips_one_object, 1),
        (dicom_multiframe.siemens_object_a_time_point, FRAMES),
        (dicom_mosaics.ascending, FRAMES),
        (dicom_habits.ge_trigger_time, FRAMES * SHAPE[0]),
    ],
)
def test_sources_as_scanners_write_them(tmp_path: Path, write, files: int) -> None:
    grid = grid_named("oblique")
    (tmp_path / "dsc").mkdir()
    write(tmp_path / "dsc", dicom_habits.whole_numbers(FRAMES, SHAPE, grid))
    source = read_source(tmp_path / "dsc")
    assert len(source.files) == files
    export_maps({"cbv": MAPS["cbv"]}, grid, source, ORIGIN, tmp_path / "dicom")
    images = series_of(tmp_path / "dicom" / "mr" / "cbv")
    of_slice = FRAMES if files > 1 else 1
    original = pydicom.dcmread(next((tmp_path / "dsc").rglob("*")), stop_before_pixels=True)
    for z, image in enumerate(images):
        np.testing.assert_allclose(
            np.array(image.ImagePositionPatient, float), (grid.ijk_to_ras @ [0, 0, z, 1])[:3] * [-1, -1, 1], atol=1e-4
        )
        assert len(image.SourceImageSequence) == of_slice
        assert image.EchoTime == 30
        assert image.PatientID == original.PatientID
        assert image.FrameOfReferenceUID == original.FrameOfReferenceUID
    parametric_map = pydicom.dcmread(tmp_path / "dicom" / "parametric-map" / "cbv.dcm")
    derivation = parametric_map.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    assert len(derivation.SourceImageSequence) == of_slice


@pytest.mark.parametrize("write", [None, dicom_multiframe.siemens_one_object, dicom_mosaics.ascending])
def test_validator_finds_no_error_whatever_the_source(tmp_path: Path, write) -> None:
    grid, source = grid_named("oblique"), None
    if write is not None:
        (tmp_path / "dsc").mkdir()
        write(tmp_path / "dsc", dicom_habits.whole_numbers(FRAMES, SHAPE, grid))
        source = read_source(tmp_path / "dsc")
    export_maps({"cbv": MAPS["cbv"]}, grid, source, ORIGIN, tmp_path / "dicom")
    for file in (tmp_path / "dicom").rglob("*.dcm"):
        assert validator_errors(file) == []


def test_files_of_several_slices_are_sources_of_every_slice() -> None:
    """A mosaic or a multi-frame file has no single place."""
    whole = SourceFile("1.2", "1.2.3", None)
    slices = [SourceFile("1.2", f"1.2.4.{z}", np.array([0, 0, 5.0 * z])) for z in range(3)]
    source = Source(pydicom.Dataset(), files=(whole, *slices))
    for z in range(3):
        found = source.files_of_slice(np.array([7, -3, 5.0 * z]), np.array([0, 0, 1.0]), 5.0)
        assert [file.sop_instance for file in found] == ["1.2.3", f"1.2.4.{z}"]


def refused(folder: Path, maps=MAPS, grid=None, source=None, kind="both", error=InputError) -> str:
    """The sentence of a refusal, which leaves nothing behind."""
    before = sorted(folder.rglob("*")) if folder.exists() else None
    with pytest.raises(error) as caught:
        export_maps(maps, grid or grid_named("axial"), source, ORIGIN, folder, kind)
    assert (sorted(folder.rglob("*")) if folder.exists() else None) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals(tmp_path: Path) -> None:
    assert "has no map to write" in refused(tmp_path / "a", maps={})
    assert "truth: is no map that DICOM has a code for" in refused(tmp_path / "a", maps={"truth": MAPS["cbv"]})
    assert "'dcm' is not known; use one of parametric-map, mr, both" in refused(tmp_path / "a", kind="dcm")
    holes = MAPS["mtt"].copy()
    holes[0, 0, :3] = np.nan, np.inf, -np.inf
    assert "map mtt: has 3 voxels that are not a number" in refused(tmp_path / "a", maps={**MAPS, "mtt": holes})
    leaning = grid_named("axial").ijk_to_ras.copy()
    leaning[1, 2] += 1.0
    assert "axes that are not at right angles" in refused(tmp_path / "a", grid=Grid(SHAPE, leaning))


def test_other_series_are_not_mixed_with(tmp_path: Path) -> None:
    source = write_source(tmp_path / "dsc", grid_named("axial"))
    sentence = refused(tmp_path / "dsc", source=read_source(source), error=OutputError)
    assert "holds files, which an export must not mix with; give a new or an empty folder" in sentence
    (tmp_path / "empty").mkdir()
    export_maps({"cbv": MAPS["cbv"]}, grid_named("axial"), None, ORIGIN, tmp_path / "empty", "mr")
    assert len(list((tmp_path / "empty" / "mr" / "cbv").iterdir())) == SHAPE[0]


def test_a_source_on_another_grid_is_refused(tmp_path: Path) -> None:
    source = read_source(write_source(tmp_path / "dsc", grid_named("oblique")))
    assert "another grid" in refused(tmp_path / "a", source=source)
    other_size = {"cbv": MAPS["cbv"][:, :-1]}
    own = grid_named("oblique")
    sentence = refused(tmp_path / "a", other_size, Grid((5, 13, 11), own.ijk_to_ras), source)
    assert "another grid (11 x 13 x 5) than the source (11 x 14 x 5)" in sentence


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "PatientID", "FrameOfReferenceUID"])
def test_a_source_that_contradicts_itself_is_refused(tmp_path: Path, keyword: str) -> None:
    folder = write_source(tmp_path / "dsc", grid_named("axial"))
    dataset = pydicom.dcmread(folder / "IM00003")
    setattr(dataset, keyword, "1.2.3")
    dataset.save_as(folder / "IM00003")
    with pytest.raises(InputError, match=f"holds files that differ in {keyword}; give the folder"):
        read_source(folder)


def test_a_source_without_frame_of_reference_gets_one_and_it_is_said(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "dsc", grid_named("axial"))
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        del dataset.FrameOfReferenceUID
        dataset.save_as(file)
    exported = export_maps(
        {"cbv": MAPS["cbv"]}, grid_named("axial"), read_source(folder), ORIGIN, tmp_path / "dicom", "mr"
    )
    assert "names no frame of reference" in exported.notes[0]
    assert len({image.FrameOfReferenceUID for image in series_of(tmp_path / "dicom" / "mr" / "cbv")}) == 1


def test_nothing_is_left_where_writing_fails_or_is_stopped(tmp_path: Path, monkeypatch) -> None:
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        export_maps(MAPS, grid_named("axial"), None, ORIGIN, tmp_path / "a", check_cancelled=stop)
    assert len(calls) == 3
    monkeypatch.setattr("stunet_perfusion.dicom_export.colors.write_colors", full)
    with pytest.raises(OutputError, match="the disk is full"):
        export_maps(MAPS, grid_named("axial"), None, ORIGIN, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_highdicom_is_asked_for_only_where_it_is_needed(tmp_path: Path, monkeypatch) -> None:
    code = "import sys, stunet_perfusion.dicom_export; assert 'highdicom' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)
    sentence = refused(tmp_path / "a")
    assert "needs the package highdicom; install it with: pip install 'stunet-perfusion[dicom]'" in sentence
