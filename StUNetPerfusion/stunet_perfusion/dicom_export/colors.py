"""The colors of perfusion maps in DICOM: a presentation state beside the images.

The pixels of a map are gray (MONOCHROME2). `PALETTE COLOR` would turn them into indices of colors, which no viewer
could measure any more. A Pseudo-Color Softcopy Presentation State (PS3.3 A.33.3) colors them without touching them, in
viewers that read it; the others show gray. A Parametric Map could hold a palette itself (PS3.3 C.7.6.16.2.26), but
neither highdicom nor common validators know one for floats.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from pydicom.data import get_palette_files
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from stunet_perfusion import __version__
from stunet_perfusion.dicom_export.attributes import (
    BODY_PART,
    CHARACTER_SET,
    MANUFACTURER,
    MODEL,
    SERIAL_NUMBER,
    ExportSetting,
    add_equipment_and_time,
    add_patient_and_study,
    of_nobody,
)
from stunet_perfusion.dicom_export.quantities import Quantity
from stunet_perfusion.support.colormap import perfusion_colors

if TYPE_CHECKING:
    import highdicom as hd


def write_colors(path: Path, images: list[Dataset], quantity: Quantity, setting: ExportSetting, number: int) -> None:
    """Write a presentation state that colors images, in their window.

    :param images: of one series, without their pixels
    :param number: of the presentation state's own series
    """
    import highdicom as hd

    state = hd.pr.PseudoColorSoftcopyPresentationState(
        referenced_images=[of_nobody(image, setting.source) for image in images],
        series_instance_uid=generate_uid(None),
        series_number=number,
        sop_instance_uid=generate_uid(None),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=SERIAL_NUMBER,
        palette_color_lut_transformation=_palette(),
        content_label=quantity.name.upper(),
        content_description=setting.origin.content_description(quantity),
        icc_profile=_icc_profile(),
        specific_character_set=CHARACTER_SET,
        series_description=f"Colors of {quantity.label}",
    )
    add_patient_and_study(state, setting.source)
    add_equipment_and_time(state, setting.now)
    # A presentation state has none of these; it has a creation date of its own.
    del state.FrameOfReferenceUID, state.PositionReferenceIndicator, state.ContentDate, state.ContentTime
    state.BodyPartExamined = BODY_PART
    state.save_as(path, enforce_file_format=True)


def _palette() -> hd.PaletteColorLUTTransformation:
    """256 colors of 16 bits: the attributes of the Palette Color Lookup Table module."""
    import highdicom as hd

    red, green, blue = np.rint(65535 * perfusion_colors()).astype(np.uint16).T
    return hd.PaletteColorLUTTransformation(
        red_lut=hd.PaletteColorLUT(0, red, "red"),
        green_lut=hd.PaletteColorLUT(0, green, "green"),
        blue_lut=hd.PaletteColorLUT(0, blue, "blue"),
    )


def _icc_profile() -> bytes:
    """sRGB, from the standard's own palettes that come with pydicom."""
    return pydicom.dcmread(get_palette_files("hotiron.dcm")[0]).ICCProfile
