"""The original: FSL's program `verbena`, run in the background where it is installed.

It wants the series, a brain mask, and an arterial input for every voxel, all as NIfTI. With `-modelfree` it writes
`modelfree/cbv`, the quotient of sums over time, with S0 from the first frame of what it is given.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.translation import tr as _

_CBV = Path("result") / "modelfree" / "cbv.nii.gz"


def verbenaProgram() -> str | None:
    """The path of the program, or None where FSL is not installed."""
    found = shutil.which("verbena")
    if found is None and os.environ.get("FSLDIR"):
        found = shutil.which("verbena", path=str(Path(os.environ["FSLDIR"]) / "bin"))
    return found


def findVerbena() -> str:
    """The path of the program.

    :raises InputError: FSL is not installed
    """
    program = verbenaProgram()
    if program is None:
        raise InputError("verbena", _("is not found"), _("install FSL, or choose the reference that is computed here"))
    return program


class VerbenaProcess:
    """One run of the program. It never blocks: whoever started it asks `finished` now and then.

    :param program: its path
    :param folder: with `data.nii` (steady frames only), `mask.nii` and `aif.nii`; the program writes into it
    :param frameInterval: seconds
    :param echoTime: seconds; None where the arterial input is TE * delta R2*
    """

    def __init__(self, program: str, folder: Path, frameInterval: float, echoTime: float | None) -> None:
        self._folder = folder
        # CBV does not depend on TE; without one, 1 makes the program's concentrations those of the arterial input.
        echoTime = 1.0 if echoTime is None else echoTime
        arguments = [program, "-i", "data", "-a", "aif", "-aifconc", "-m", "mask", "-o", "result", "-modelfree"]
        arguments += ["-tr", f"{frameInterval:g}", "-te", f"{echoTime:g}"]
        self._log = (folder / "log.txt").open("wb")
        self._process = subprocess.Popen(
            arguments,
            cwd=folder,
            env={**_environment(), "FSLOUTPUTTYPE": "NIFTI_GZ"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # A script that starts other programs: they are to end with it.
            start_new_session=True,
        )

    @property
    def finished(self) -> bool:
        """Whether the program has ended, well or not."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End the program and all that it started, if it still runs."""
        if not self.finished:
            if hasattr(os, "killpg"):
                with suppress(ProcessLookupError):  # it has ended this moment
                    os.killpg(self._process.pid, signal.SIGKILL)
            else:
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
            raise InputError("verbena", fact, _("choose the reference that is computed here"))
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat32))


def _environment() -> dict[str, str]:
    """As Slicer itself was started: its own libraries must not be found by the program."""
    return slicer.util.startupEnvironment() if hasattr(slicer, "app") else dict(os.environ)
