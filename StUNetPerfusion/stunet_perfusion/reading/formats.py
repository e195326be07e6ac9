"""Which reader a path is for."""

from __future__ import annotations

from pathlib import Path

from stunet_perfusion.errors import InputError
from stunet_perfusion.progress import Progress
from stunet_perfusion.reading.recording import Recording


def open_recording(path: Path, progress: Progress) -> Recording:
    """Read the header of a file, or all headers of a DICOM folder.

    A reader's library is imported only when a file needs it.

    :raises InputError: missing, of no known format, or damaged
    """
    name = path.name.lower()
    if path.is_dir():
        from stunet_perfusion.reading.dicom import open_dicom_folder

        return open_dicom_folder(path, progress)
    if not path.exists():
        raise InputError(path, "does not exist", "check the path")
    if name.endswith((".nii", ".nii.gz")):
        from stunet_perfusion.reading.nifti import open_nifti

        return open_nifti(path)
    if name.endswith((".nrrd", ".nhdr")):
        from stunet_perfusion.reading.nrrd import open_nrrd

        return open_nrrd(path)
    if name.endswith((".dcm", ".ima")) or name == "dicomdir":
        raise InputError(path, "is one file of a DICOM series", "give the folder that holds all of them")
    raise InputError(
        path, "is of no known format", "give a .nii, .nii.gz, .nrrd or .seq.nrrd file, or a folder of DICOM files"
    )
