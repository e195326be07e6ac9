"""What all exported objects have in common, whatever their kind."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code

from stunet_perfusion import __version__
from stunet_perfusion.dicom_export.origin import MapOrigin
from stunet_perfusion.dicom_export.planes import Planes
from stunet_perfusion.dicom_export.quantities import Quantity
from stunet_perfusion.dicom_export.source import MAY_BE_EMPTY, PATIENT_AND_STUDY, Source

MANUFACTURER, MODEL = "StUNetPerfusion", "stunet-perfusion"

#: Software has none, and enhanced objects must not leave it empty.
SERIAL_NUMBER = "not applicable"

#: UTF-8 holds every name, whatever character set the source was written in.
CHARACTER_SET = "ISO_IR 192"

#: CID 7203 "Image Derivation".
PERFUSION_ANALYSIS = Code("129104", "DCM", "Perfusion image analysis")
#: CID 7202 and CID 7222, what a referenced image was to this one.
_SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
#: CID 9000 "Physical Quantity Descriptor", and CID 4102 for how perfusion is measured.
_QUANTITY = Code("246205007", "SCT", "Quantity")
_DERIVATION = Code("121401", "DCM", "Derivation")
_METHOD = Code("370129005", "SCT", "Measurement Method")
_SUSCEPTIBILITY = Code("126303", "DCM", "Perfusion analysis by Susceptibility MR technique")
#: CID 4030 "CT, MR and PET Anatomy Imaged", and the same as PS3.16 Annex L names it for Body Part Examined.
BRAIN = Code("12738006", "SCT", "Brain")
BODY_PART = "BRAIN"


@dataclass(frozen=True, eq=False)
class ExportSetting:
    """What all maps of one export share.

    :param source: patient, study and frame of reference
    :param origin: how the maps were made
    :param planes: where their slices are
    :param now: the time of the export
    """

    source: Source
    origin: MapOrigin
    planes: Planes
    now: datetime


def code_item(code: Code) -> Dataset:
    """The item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def add_patient_and_study(dataset: Dataset, source: Source) -> None:
    """Set, or replace, what an object shares with its source."""
    dataset.SpecificCharacterSet = CHARACTER_SET
    for keyword in PATIENT_AND_STUDY:
        if keyword in source.headers:
            dataset[keyword] = deepcopy(source.headers[keyword])


def of_nobody(dataset: Dataset, source: Source) -> Dataset:
    """A copy in the same study, but of no patient: for highdicom, which checks what it copies, while a patient's data
    may break rules and have to stay as they are.

    :param dataset: values are shared with it
    """
    copy = Dataset()
    copy.update({element.tag: element for element in dataset if element.keyword not in PATIENT_AND_STUDY})
    for keyword in MAY_BE_EMPTY:
        setattr(copy, keyword, "")
    copy.StudyInstanceUID = source.headers.StudyInstanceUID
    copy.FrameOfReferenceUID = source.headers.FrameOfReferenceUID
    return copy


def add_equipment_and_time(dataset: Dataset, now: datetime) -> None:
    """Set what made an object, and when."""
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MODEL
    dataset.SoftwareVersions = __version__
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.ContentDate, dataset.ContentTime = date, time


def references(source: Source, planes: Planes, z: int) -> Sequence:
    """The images that a slice was computed from."""
    files = source.files_of_slice(planes.positions[z], planes.normal, planes.slice_spacing)
    items = []
    for file in files:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = file.sop_class, file.sop_instance
        item.PurposeOfReferenceCodeSequence = [code_item(_SOURCE_IMAGE)]
        items.append(item)
    return Sequence(items)


def quantity_definition(quantity: Quantity) -> Sequence:
    """Quantity Definition Sequence: what is measured, by which technique, and which statistic of it is held."""
    pairs = [(_QUANTITY, quantity.concept)]
    if quantity.derivation is not None:
        pairs.append((_DERIVATION, quantity.derivation))
    pairs.append((_METHOD, _SUSCEPTIBILITY))
    items = []
    for name, value in pairs:
        item = Dataset()
        item.ValueType = "CODE"
        item.ConceptNameCodeSequence = [code_item(name)]
        item.ConceptCodeSequence = [code_item(value)]
        items.append(item)
    return Sequence(items)


def series_number(source: Source, place: int) -> int:
    """Numbers that put derived series behind their source: 701, 702, ... for series 7.

    :param place: 1 for the first series of an export
    """
    try:
        number = int(source.headers.get("SeriesNumber") or 0)
    except (TypeError, ValueError):
        number = 0
    return 100 * number % 1_000_000_000 + place
