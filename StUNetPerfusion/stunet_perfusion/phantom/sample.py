"""The sample case: a drawn head with a tumor, scanned in software, so that everything can be tried at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stunet_perfusion.phantom import Anatomy, Physiology, Protocol, drawn_anatomy, make_phantom
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.progress import Progress, no_progress, part_of

#: What the series is called, in messages and in 3D Slicer.
NAME = "DSC sample"

#: Of everything random in the sample: folds of the cortex, noise.
SEED = 2021

#: A usual protocol at 3 T with few slices and frames, so that the sample is small.
PROTOCOL = Protocol(
    field=3.0,
    echo_time=0.030,
    repetition_time=1.5,
    frames=60,
    arrival=18.0,
    temporal_snr=70.0,
    matrix=128,
    field_of_view=240.0,
    slices=16,
    slice_spacing=6.0,
    slice_thickness=5.0,
)

#: An average person with a glioma of high grade: necrosis, a rim that leaks and holds much blood, edema.
PHYSIOLOGY = Physiology(necrosis=True, rim=6.0, edema=10.0)

#: The tumor is what these balls cover, in the white matter of the right frontal lobe: center in RAS and radius, mm.
TUMOR = (
    ((28.0, 20.0, 32.0), 15.0),
    ((33.0, 9.0, 27.0), 12.0),
    ((24.0, 27.0, 24.0), 11.0),
)


@dataclass(frozen=True, eq=False)
class Sample:
    """A series with what is known of it. Arrays are (Z, Y, X) on the grid of the series.

    :param series: DSC series at full dose
    :param brain: bool, with sulci and ventricles
    :param tumor: living tumor and its core, without edema: bool
    :param nawm: normal-appearing white matter of the other hemisphere: bool
    :param vessels: arterial voxels, good for an AIF: bool
    :param cbv: the truth, fraction: float32
    """

    series: DscSeries
    brain: np.ndarray
    tumor: np.ndarray
    nawm: np.ndarray
    vessels: np.ndarray
    cbv: np.ndarray


def make_sample(progress: Progress = no_progress) -> Sample:
    """The sample case, the same each time.

    Takes some seconds, and neither files nor anything beyond numpy, scipy and SimpleITK.
    """
    progress(0.0, "Drawing a head")
    head = drawn_anatomy(SEED)
    progress(0.45, "Putting it into the scanner")
    phantom = make_phantom(head, tumor=_tumor(head), physiology=PHYSIOLOGY, protocol=PROTOCOL, seed=SEED)
    progress(0.75, "Scanning")
    series = replace(phantom.series(1.0), name=NAME)
    progress(1.0, "The sample is ready")
    return Sample(series, phantom.mask, phantom.tumor, phantom.nawm, phantom.vessels, phantom.cbv)


def write_sample(folder: str | Path, progress: Progress = no_progress) -> list[str]:
    """Write the sample under the names that `stunet-perfusion phantom` gives: all files, or none.

    :returns: names of the files: `dsc.nii.gz` with its sidecar, `truth_cbv.nii.gz`, and the masks
    :raises OutputError: the folder cannot be written
    """
    # nibabel, which making the sample does not need
    from stunet_perfusion.writing import staged_output, write_map, write_series

    with staged_output(folder) as stage:
        sample = make_sample(part_of(progress, 0.0, 0.8))
        write_series(stage / "dsc.nii.gz", sample.series, progress=part_of(progress, 0.8, 1.0))
        for name, values in (
            ("truth_cbv", sample.cbv),
            ("mask", sample.brain),
            ("tumor", sample.tumor),
            ("nawm", sample.nawm),
            ("vessels", sample.vessels),
        ):
            write_map(stage / f"{name}.nii.gz", values, sample.series.grid)
        return sorted(file.name for file in stage.iterdir())


def _tumor(head: Anatomy) -> np.ndarray:
    """(Z, Y, X) bool on the grid of the head, whose axes run along those of space."""
    i, j, k = (np.arange(n) for n in head.tissue.shape[::-1])
    matrix = head.grid.ijk_to_ras
    x, y, z = (matrix[axis, axis] * index + matrix[axis, 3] for axis, index in enumerate((i, j, k)))
    inside = np.zeros(head.tissue.shape, dtype=bool)
    for center, radius in TUMOR:
        squares = [(place - middle) ** 2 for place, middle in zip((x, y, z), center, strict=True)]
        inside |= squares[2][:, None, None] + squares[1][:, None] + squares[0] < radius**2
    return inside
