"""The original: FSL's program `verbena`, run in the background where it is installed.

It wants the series, a brain mask, and an arterial input for every voxel, all as NIfTI. With `-modelfree` it writes
`modelfree/cbv`, the quotient of sums over time, with S0 from the first frame of what it is given.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from stunet_perfusion.errors import InputError
from stunet_perfusion.series import DscSeries, Grid
from StUNetPerfusionLib.translation import tr as _

_CBV = Path("result") / "modelfree" / "cbv.nii.gz"


def verbenaProgram() -> str | None:
    """The path of the program, or None where FSL is not installed."""
    found = shutil.which("verbena")
    if found is None and os.environ.get("FSLDIR"):
        found = shutil.which("verbena", path=str(Path(os.environ["FSLDIR"]) / "bin"))
    return found


class VerbenaProcess:
    """One run of the program. It never blocks: whoever started it asks `finished` now and then.

    :param series: steady frames only
    :param brain: (Z, Y, X) bool
    :param aif: (T,) delta R2* in 1/s, or TE * delta R2* where the series has no TE
    :param folder: an empty one, for its files
    :raises InputError: the program is not there
    """

    def __init__(self, series: DscSeries, brain: np.ndarray, aif: np.ndarray, folder: Path) -> None:
        program = verbenaProgram()
        if program is None:
            raise InputError("verbena", _("is not on the path"), _("install FSL, or let the map be computed here"))
        self._folder = folder
        _write(folder / "data.nii.gz", series.signal, series.grid)
        _write(folder / "mask.nii.gz", brain.astype(np.uint8), series.grid)
        everywhere = np.broadcast_to(aif.astype(np.float32)[:, None, None, None], series.signal.shape)
        _write(folder / "aif.nii.gz", everywhere, series.grid)
        # CBV does not depend on TE; without one, 1 makes the program's concentrations those of the arterial input.
        echoTime = series.echo_time if series.echo_time is not None else 1.0
        arguments = [program, "-i", "data", "-a", "aif", "-aifconc", "-m", "mask", "-o", "result", "-modelfree"]
        arguments += ["-tr", f"{series.frame_interval:g}", "-te", f"{echoTime:g}"]
        self._log = (folder / "log.txt").open("wb")
        self._process = subprocess.Popen(
            arguments,
            cwd=folder,
            env={**os.environ, "FSLOUTPUTTYPE": "NIFTI_GZ"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def finished(self) -> bool:
        """Whether the program has ended, well or not."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End the program, if it still runs."""
        if not self.finished:
            self._process.kill()
        self._process.wait()
        self._log.close()

    def cbv(self) -> np.ndarray:
        """(Z, Y, X) float32, as a fraction of the arterial input, once the program has finished.

        :raises InputError: it failed, or wrote no CBV map
        """
        self.stop()
        path = self._folder / _CBV
        if self._process.returncode != 0 or not path.is_file():
            said = (self._folder / "log.txt").read_text(errors="replace").strip().splitlines()
            fact = _("wrote no CBV map; it said: {text}").format(text=said[-1] if said else self._process.returncode)
            raise InputError("verbena", fact, _("let the map be computed here"))
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat32))


def _write(path: Path, array: np.ndarray, grid: Grid) -> None:
    """One volume, or a series of them, as NIfTI."""

    def volume(values: np.ndarray) -> sitk.Image:
        image = sitk.GetImageFromArray(np.ascontiguousarray(values))
        image.SetOrigin(grid.lps_origin.tolist())
        image.SetSpacing(grid.spacing.tolist())
        image.SetDirection(grid.lps_direction.ravel().tolist())
        return image

    image = sitk.JoinSeries([volume(frame) for frame in array]) if array.ndim == 4 else volume(array)
    sitk.WriteImage(image, str(path))
