"""Normal white matter of an open series: given with a request, or found once and remembered."""

from __future__ import annotations

from stunet_perfusion.regions.blood_volume_unit import BloodVolumeUnit, blood_volume_unit
from stunet_perfusion.worker.arrays import read_mask
from stunet_perfusion.worker.session import Session


def unit_of(session: Session, handle: str, nawm: str | None) -> BloodVolumeUnit:
    """What CBV of an open series is divided by, at all of its doses.

    :param handle: of the series
    :param nawm: .npy of the region, relative to the session's folder, or None to find it
    :raises InputError: as `read_mask` and `blood_volume_unit`
    """
    opened = session.series(handle)
    if nawm is not None:
        region = read_mask(session.folder / nawm, opened.facts.brain.shape, "white matter")
        return blood_volume_unit(opened.mapped(), region)
    return session.remember(handle, "white matter", lambda: blood_volume_unit(opened.mapped()))
