"""A head by the name that a user gives it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stunet_perfusion.phantom.anatomy import Anatomy, anatomy_from_labels, mni_anatomy
from stunet_perfusion.phantom.drawn import drawn_anatomy
from stunet_perfusion.support.errors import InputError


def image_files(paths: Sequence[Path], names: Sequence[str] = ("mni",)) -> tuple[str, ...]:
    """The images among files and in folders, sorted, with their whole paths. Names of heads stay as they are.

    :param names: of heads that are no file
    :raises InputError: a path that does not exist, or a folder without NIfTI files
    """
    found: list[str] = []
    for path in paths:
        if str(path) in names:
            found.append(str(path))
        elif path.is_file():
            found.append(str(path.resolve()))
        elif path.is_dir() and (files := sorted(path.glob("*.nii*"))):
            found.extend(str(file.resolve()) for file in files)
        else:
            known = " or ".join(f"'{name}'" for name in names)
            raise InputError(path, "is no file, and no folder with NIfTI files", f"give label maps, or {known}")
    return tuple(found)


def anatomy_by_name(name: str, seed: int = 0) -> Anatomy:
    """The drawn head, the MNI152 head, or that of a label map.

    :param name: `drawn`, `mni`, or the path of a FreeSurfer label map
    :param seed: of the drawn head
    :raises InputError: as `mni_anatomy` and `anatomy_from_labels`
    """
    if name.lower() == "drawn":
        return drawn_anatomy(seed)
    return mni_anatomy() if name.lower() == "mni" else anatomy_from_labels(name)
