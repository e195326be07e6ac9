"""A map as a classic series of MR images, one file a slice, which every viewer reads."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from stunet_perfusion.dicom_export.attributes import (
    BODY_PART,
    PERFUSION_ANALYSIS,
    ExportSetting,
    add_equipment_and_time,
    add_patient_and_study,
    code_item,
    quantity_definition,
    references,
)
from stunet_perfusion.dicom_export.display import ReadyMap, StoredMap, stored_as_integers
from stunet_perfusion.dicom_export.origin import USE
from stunet_perfusion.dicom_export.planes import Planes
from stunet_perfusion.dicom_export.quantities import Quantity
from stunet_perfusion.dicom_export.source import ACQUISITION, Source

#: What an MR image must say and a source may not: "research mode" and no variant, as PS3.3 C.8.3.1 has it.
_UNKNOWN_ACQUISITION = {"ScanningSequence": "RM", "SequenceVariant": "NONE"}
#: What it must have, though empty.
_EMPTY_ACQUISITION = ("ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime")


def write_mr_series(folder: Path, ready: ReadyMap, setting: ExportSetting, number: int) -> list[Dataset]:
    """Write one file for every slice.

    :param folder: must exist
    :param number: of the series
    :returns: the images, without their pixels
    """
    stored = stored_as_integers(ready.values, ready.window)
    uid = generate_uid(None)
    images: list[Dataset] = []
    for z, integers in enumerate(stored.integers):
        image = _new_image(setting)
        image.SeriesInstanceUID, image.SeriesNumber, image.InstanceNumber = uid, number, z + 1
        _add_series(image, ready.quantity, setting)
        _add_acquisition(image, setting.source)
        _add_derivation(image, ready.quantity, stored, setting, z)
        _add_plane(image, setting.planes, z)
        _add_pixels(image, integers)
        _add_meaning_of_values(image, ready, stored.slope)
        image.save_as(folder / f"IM{z + 1:04d}.dcm", enforce_file_format=True)
        del image.PixelData
        images.append(image)
    return images


def _new_image(setting: ExportSetting) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid(None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    add_patient_and_study(image, setting.source)
    add_equipment_and_time(image, setting.now)
    return image


def _add_series(image: Dataset, quantity: Quantity, setting: ExportSetting) -> None:
    image.Modality = "MR"
    image.SeriesDescription = setting.origin.series_description(quantity)
    image.BodyPartExamined = BODY_PART
    # How the patient lay must be there, and may be empty: coordinates of NIfTI do not tell.
    image.PatientPosition = setting.source.headers.get("PatientPosition", "")


def _add_acquisition(image: Dataset, source: Source) -> None:
    for keyword in ACQUISITION:
        if keyword in source.headers and keyword not in image:
            image[keyword] = deepcopy(source.headers[keyword])
    for keyword, value in _UNKNOWN_ACQUISITION.items():
        if not image.get(keyword):
            setattr(image, keyword, value)
    for keyword in _EMPTY_ACQUISITION:
        if keyword not in image:
            setattr(image, keyword, None)


def _add_derivation(image: Dataset, quantity: Quantity, stored: StoredMap, setting: ExportSetting, z: int) -> None:
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER", quantity.name.upper()]
    clipped = ""
    if stored.clipped:
        largest = stored.slope * np.iinfo(np.int16).max
        clipped = f"{stored.clipped} voxels beyond +-{largest:.3g} hold that value."
    image.DerivationDescription = setting.origin.derivation_description(quantity, clipped)
    image.DerivationCodeSequence = [code_item(PERFUSION_ANALYSIS)]
    if sources := references(setting.source, setting.planes, z):
        image.SourceImageSequence = sources
    image.ImageComments = USE
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "00"


def _add_plane(image: Dataset, planes: Planes, z: int) -> None:
    image.ImagePositionPatient = planes.positions[z].tolist()
    image.ImageOrientationPatient = planes.orientation.tolist()
    image.PixelSpacing = list(planes.pixel_spacing)
    image.SliceThickness = image.SpacingBetweenSlices = planes.slice_spacing


def _add_pixels(image: Dataset, integers: np.ndarray) -> None:
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = integers.shape
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.PixelData = np.ascontiguousarray(integers, dtype="<i2").tobytes()


def _add_meaning_of_values(image: Dataset, ready: ReadyMap, slope: float) -> None:
    """Slope and window for every viewer, and the quantity and its unit in codes for those that read them."""
    quantity, window = ready.quantity, ready.window
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = format_number_as_ds(slope), "0", "US"
    image.WindowCenter = format_number_as_ds(window.center)
    image.WindowWidth = format_number_as_ds(window.width)
    # LINEAR, the default, has no meaning for windows narrower than 1.
    image.VOILUTFunction = "LINEAR_EXACT"
    image.PresentationLUTShape = "IDENTITY"
    mapping = Dataset()
    mapping.LUTLabel, mapping.LUTExplanation = quantity.label, quantity.meaning
    limits = np.iinfo(np.int16)
    mapping.add_new("RealWorldValueFirstValueMapped", "SS", int(limits.min))
    mapping.add_new("RealWorldValueLastValueMapped", "SS", int(limits.max))
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = slope, 0.0
    mapping.MeasurementUnitsCodeSequence = [code_item(quantity.unit)]
    mapping.QuantityDefinitionSequence = quantity_definition(quantity)
    image.RealWorldValueMappingSequence = [mapping]
