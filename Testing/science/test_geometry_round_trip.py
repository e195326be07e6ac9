"""Geometry, times and values survive every format, whatever way the head lies in the scanner."""

from __future__ import annotations

from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from science.dicom_folder import INTERCEPT, SLOPE, write_dicom_folder
from science.synthetic import make_series
from stunet_perfusion.reading import read_map, read_series
from stunet_perfusion.series import Grid
from stunet_perfusion.writing import write_map, write_series

#: The issue's tolerance, mm.
TOLERANCE = 1e-4

SHAPE = (3, 5, 4)


@st.composite
def grids(draw, flips: bool = True) -> Grid:
    """Oblique, anisotropic and, where asked, mirrored grids anywhere in a scanner."""
    angles = [draw(st.floats(-180, 180)) for _ in range(3)]
    direction = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    if flips:
        direction = direction * np.array([draw(st.sampled_from([-1, 1])) for _ in range(3)])
    spacing = [draw(st.floats(0.4, 8)) for _ in range(3)]
    origin = [draw(st.floats(-300, 300)) for _ in range(3)]
    return Grid.from_lps(SHAPE, np.array(origin), np.array(spacing), direction)


times = st.lists(st.floats(0.3, 4), min_size=19, max_size=19).map(lambda steps: np.cumsum([0.0, *steps]))


def farthest(grid: Grid, other: Grid) -> float:
    """The largest distance between the same voxel of two grids, mm, over all voxels."""
    k, j, i = np.indices(SHAPE).reshape(3, -1)
    voxels = np.stack([i, j, k, np.ones_like(i)])
    return float(np.linalg.norm(((grid.ijk_to_ras - other.ijk_to_ras) @ voxels)[:3], axis=0).max())


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".seq.nrrd"])
@given(grid=grids(), times=times)
@settings(max_examples=25, deadline=None)
def test_a_written_series_reads_back(tmp_path_factory, ending: str, grid: Grid, times: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("series")
    series = make_series(20, SHAPE, grid=grid, noise=2)
    series = type(series)(series.signal, times, grid, 0.0287, "dsc")
    write_series(folder / f"dsc{ending}", series)
    back = read_series(folder / f"dsc{ending}")
    assert farthest(back.grid, grid) < TOLERANCE
    np.testing.assert_allclose(back.times, times, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(back.signal, series.signal)
    assert back.echo_time == pytest.approx(0.0287, abs=1e-9)


@given(grid=grids(flips=False))
@settings(max_examples=8, deadline=None)
def test_a_dicom_folder_has_the_geometry_of_its_headers(tmp_path_factory, grid: Grid) -> None:
    series = make_series(16, SHAPE, grid=grid, noise=2)
    back = read_series(write_dicom_folder(tmp_path_factory.mktemp("dicom"), series))
    assert farthest(back.grid, grid) < TOLERANCE
    stored = np.rint((series.signal - INTERCEPT) / SLOPE) * SLOPE + INTERCEPT
    np.testing.assert_array_equal(back.signal, stored)


@given(grid=grids())
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_other_software_reads_maps_at_the_same_place(tmp_path_factory, ending: str, grid: Grid) -> None:
    path = tmp_path_factory.mktemp("map") / f"cbv{ending}"
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    write_map(path, values, grid)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    for i, j, k in ((0, 0, 0), (3, 0, 0), (0, 4, 0), (3, 4, 2)):
        x, y, z = image.TransformIndexToPhysicalPoint((i, j, k))
        here = (grid.ijk_to_ras @ [i, j, k, 1])[:3]
        assert np.linalg.norm(np.array([-x, -y, z]) - here) < TOLERANCE
    back, back_grid = read_map(path)
    np.testing.assert_array_equal(back, values)
    assert farthest(back_grid, grid) < TOLERANCE


def test_nifti_has_both_matrices_and_units(tmp_path: Path) -> None:
    series = make_series(20, SHAPE, frame_interval=1.4)
    write_series(tmp_path / "dsc.nii.gz", series)
    image = nibabel.load(tmp_path / "dsc.nii.gz")
    for matrix, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(matrix, series.grid.ijk_to_ras, atol=1e-5)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.header.get_zooms() == pytest.approx((2, 2, 5, 1.4))
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, series.signal)


def test_the_sequence_is_what_slicer_writes(tmp_path: Path) -> None:
    series = make_series(20, SHAPE)
    write_series(tmp_path / "dsc.seq.nrrd", series)
    data, header = nrrd.read(str(tmp_path / "dsc.seq.nrrd"))
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    assert np.isnan(header["space directions"][0]).all()
    assert header["labels"][0] == "time"
    assert header["units"][0] == "s"
    assert header["axis 0 index type"] == "numeric"
    np.testing.assert_allclose(np.array(header["axis 0 index values"].split(), float), series.times)
    assert header["DataNodeClassName"] == "vtkMRMLScalarVolumeNode"
    np.testing.assert_array_equal(data, np.transpose(series.signal, (0, 3, 2, 1)))


def test_writing_twice_makes_the_same_bytes(tmp_path: Path) -> None:
    series = make_series(20, SHAPE)
    for ending in (".nii.gz", ".seq.nrrd"):
        first, second = tmp_path / "first" / f"dsc{ending}", tmp_path / "second" / f"dsc{ending}"
        write_series(first, series)
        write_series(second, series)
        assert first.read_bytes() == second.read_bytes()
