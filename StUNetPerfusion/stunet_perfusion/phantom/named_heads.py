"""A head by the name that a user gives it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
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
            way_out = f"give label maps, or {known}" if known else "give masks"
            raise InputError(path, "is no file, and no folder with NIfTI files", way_out)
    return tuple(found)


def anatomy_by_name(name: str, seed: int = 0) -> Anatomy:
    """A drawn head, the MNI152 head, or that of a label map.

    :param name: `drawn`, `mni`, `drawn-7` for the head that is drawn with seed 7, or the path of a FreeSurfer label map
    :param seed: of the head where it is called `drawn`
    :raises InputError: as `mni_anatomy` and `anatomy_from_labels`
    """
    if name.lower() == "drawn":
        return drawn_anatomy(seed)
    if of_seed := re.fullmatch(r"drawn-(\d+)", name):
        return _drawn_head(int(of_seed[1]))
    return mni_anatomy() if name.lower() == "mni" else anatomy_from_labels(name)


def drawn_heads(seeds: range) -> tuple[str, ...]:
    """Names of the heads that are drawn with these seeds, as `anatomy_by_name` takes them."""
    return tuple(f"drawn-{seed}" for seed in seeds)


@lru_cache(maxsize=16)
def _drawn_head(seed: int) -> Anatomy:
    """A head takes seconds to draw and holds 4 MB, and a training sees the same ones again and again."""
    return drawn_anatomy(seed)
