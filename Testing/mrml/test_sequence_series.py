"""A sequence node becomes a series and a series a sequence node, with real MRML."""

from __future__ import annotations

import numpy as np
import pytest

from science.synthetic import make_series, oblique_grid
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError


@pytest.fixture
def sequences(scene):
    from StUNetPerfusionLib.scene import sequenceSeries

    return sequenceSeries


def corners(grid: Grid) -> np.ndarray:
    """(8, 3) mm, right-anterior-superior."""
    last = np.array(grid.shape[::-1]) - 1
    indices = np.array([[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])], float)
    return (grid.ijk_to_ras @ indices.T)[:3].T


def test_round_trip_keeps_voxels_times_and_oblique_geometry(scene, sequences):
    series = make_series(shape=(5, 26, 20))
    uneven = np.cumsum(np.where(np.arange(series.frames) < 20, 1.5, 2.25))
    series = DscSeries(series.signal, uneven, oblique_grid((5, 26, 20), (1.719, 1.81, 4.95)), 0.0325, "oblique")

    node = sequences.sequenceFromSeries(series, scene, "oblique")
    back = sequences.seriesFromSequence(node)

    np.testing.assert_array_equal(back.signal, series.signal)
    np.testing.assert_allclose(back.times, uneven, atol=1e-9)
    np.testing.assert_allclose(corners(back.grid), corners(series.grid), atol=1e-4)
    assert back.grid.shape == (5, 26, 20)
    assert back.echo_time == pytest.approx(0.0325)
    assert (node.GetIndexName(), node.GetIndexUnit()) == ("time", "s")


def test_flipped_axes_survive(scene, sequences):
    series = make_series()
    flipped = Grid(series.grid.shape, series.grid.ijk_to_ras @ np.diag([-1.0, 1.0, -1.0, 1.0]))
    series = DscSeries(series.signal, series.times, flipped)
    back = sequences.seriesFromSequence(sequences.sequenceFromSeries(series, scene, "flipped"))
    np.testing.assert_allclose(corners(back.grid), corners(flipped), atol=1e-4)


def test_first_voxel_is_where_mrml_says(scene, sequences):
    """Array order and matrix against MRML itself, not against our own way back."""
    series = make_series()
    series.signal[7, 2, 11, 5] = 4321
    volume = sequences.sequenceFromSeries(series, scene, "marked").GetNthDataNode(7)
    assert volume.GetImageData().GetScalarComponentAsDouble(5, 11, 2, 0) == 4321
    np.testing.assert_allclose(volume.GetOrigin(), series.grid.ijk_to_ras[:3, 3])
    np.testing.assert_allclose(volume.GetSpacing(), series.grid.spacing)


def numbered_sequence(scene, sequences, series):
    """As MultiVolumeImporter loads a DICOM series: index values 0, 1, 2 ... without name and unit."""
    node = sequences.sequenceFromSeries(series, scene, "imported")
    for frame in range(series.frames):
        node.UpdateIndexValue(f"{series.times[frame]:.10g}", f"{1000 + frame}")
    for frame in range(series.frames):
        node.UpdateIndexValue(f"{1000 + frame}", str(frame))
    node.SetIndexName("")
    node.SetIndexUnit("")
    node.RemoveAttribute("MultiVolume.DICOM.EchoTime")
    return node


def test_times_of_the_dicom_importer(scene, sequences):
    series = make_series(frame_interval=1.6)
    node = numbered_sequence(scene, sequences, series)
    node.SetAttribute("MultiVolume.FrameLabels", ",".join(f"{1600 * n}" for n in range(series.frames)))
    node.SetAttribute("MultiVolume.FrameIdentifyingDICOMTagName", "AcquisitionTime")
    node.SetAttribute("MultiVolume.FrameIdentifyingDICOMTagUnits", "ms")
    node.SetAttribute("MultiVolume.DICOM.EchoTime", "45")

    found = sequences.seriesFromSequence(node)

    np.testing.assert_allclose(found.times, 1.6 * np.arange(series.frames))
    assert found.echo_time == pytest.approx(0.045)


def test_numbers_of_frames_are_no_times_unless_the_user_says_so(scene, sequences):
    node = numbered_sequence(scene, sequences, make_series())
    with pytest.raises(InputError, match="does not say how much time"):
        sequences.seriesFromSequence(node)
    told = sequences.seriesFromSequence(node, echoTime=0.04, frameInterval=2.0)
    np.testing.assert_allclose(told.times, 2.0 * np.arange(40))
    assert told.echo_time == 0.04


def test_a_moved_frame_is_refused(scene, sequences):
    node = sequences.sequenceFromSeries(make_series(), scene, "moved")
    node.GetNthDataNode(3).SetOrigin(0, 0, 0)
    with pytest.raises(InputError, match="frame 4 is of another size or at another place than the first"):
        sequences.seriesFromSequence(node)


def test_what_is_no_series_of_volumes_is_refused(scene, sequences):
    import slicer

    empty = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "empty")
    with pytest.raises(InputError, match="empty: holds no volumes"):
        sequences.seriesFromSequence(empty)
    transforms = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "transforms")
    transforms.SetIndexUnit("s")
    for frame in range(20):
        transforms.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), str(1.5 * frame))
    with pytest.raises(InputError, match="item 0 is no scalar volume"):
        sequences.seriesFromSequence(transforms)
