"""Which reader a path is for."""

from __future__ import annotations

from pathlib import Path

from stunet_perfusion.reading.door import readers_door
from stunet_perfusion.reading.packed_files import refuse_packed
from stunet_perfusion.reading.recording import Recording
from stunet_perfusion.reading.stream import readable
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress

#: Where the name of the format is in a DICOM file, behind a preamble without meaning.
_DICOM_MARK = slice(128, 132)


def open_recording(path: Path, progress: Progress, wanted: str | None = None) -> Recording:
    """Read the header of a file, or all headers of a DICOM folder.

    A reader's library is imported only when a file needs it.

    :param wanted: UID, number or description of a DICOM series; None where there is but one
    :raises InputError: missing, of no known format, or damaged
    """
    name = path.name.lower()
    with readers_door(path):
        return _open(path, name, progress, wanted)


def _open(path: Path, name: str, progress: Progress, wanted: str | None) -> Recording:
    if path.is_dir():
        from stunet_perfusion.reading.dicom import open_dicom

        return open_dicom(path, progress, wanted)
    if not path.exists():
        raise InputError(path, "does not exist", "check the path")
    if not path.is_file():
        raise InputError(path, "is neither a file nor a folder", "check the path")
    if name.endswith((".nii", ".nii.gz")):
        from stunet_perfusion.reading.nifti import open_nifti

        return open_nifti(path)
    if name.endswith((".nrrd", ".nhdr")):
        from stunet_perfusion.reading.nrrd import open_nrrd

        return open_nrrd(path)
    if name.endswith((".dcm", ".ima")) or is_dicom(path):
        from stunet_perfusion.reading.dicom import open_dicom

        return open_dicom(path, progress, wanted)
    refuse_packed(path, [path])
    raise InputError(
        path, "is of no known format", "give a .nii, .nii.gz, .nrrd or .seq.nrrd file, or a folder of DICOM files"
    )


def is_dicom(path: Path) -> bool:
    """Whether a file says of itself that it is one of DICOM.

    :raises InputError: it cannot be read
    """
    with readable(path.name), open(path, "rb") as file:
        return file.read(_DICOM_MARK.stop)[_DICOM_MARK] == b"DICM"
