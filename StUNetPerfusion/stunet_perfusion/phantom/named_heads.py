"""A head by the name that a user gives it."""

from __future__ import annotations

from stunet_perfusion.phantom.anatomy import Anatomy, anatomy_from_labels, mni_anatomy
from stunet_perfusion.phantom.drawn import drawn_anatomy


def anatomy_by_name(name: str, seed: int = 0) -> Anatomy:
    """The drawn head, the MNI152 head, or that of a label map.

    :param name: `drawn`, `mni`, or the path of a FreeSurfer label map
    :param seed: of the drawn head
    :raises InputError: as `mni_anatomy` and `anatomy_from_labels`
    """
    if name.lower() == "drawn":
        return drawn_anatomy(seed)
    return mni_anatomy() if name.lower() == "mni" else anatomy_from_labels(name)
