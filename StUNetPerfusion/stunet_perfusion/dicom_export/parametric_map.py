"""A map as a Parametric Map object: all slices in one file, as 32-bit floats, with quantity and unit in codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import MRImageStorage, generate_uid

from stunet_perfusion import __version__
from stunet_perfusion.dicom_export.attributes import (
    BODY_PART,
    BRAIN,
    CHARACTER_SET,
    MANUFACTURER,
    MODEL,
    PERFUSION_ANALYSIS,
    SERIAL_NUMBER,
    ExportSetting,
    add_equipment_and_time,
    add_patient_and_study,
    code_item,
    of_nobody,
    quantity_definition,
    references,
)
from stunet_perfusion.dicom_export.display import ReadyMap
from stunet_perfusion.dicom_export.planes import Planes


def write_parametric_map(path: Path, ready: ReadyMap, setting: ExportSetting, number: int) -> Dataset:
    """Write one file.

    :param path: its folder must exist
    :param number: of the series
    :returns: the image, without its pixels
    """
    import highdicom as hd

    quantity, planes, values = ready.quantity, setting.planes, ready.values
    mapping = hd.pm.RealWorldValueMapping(
        lut_label=quantity.label,
        lut_explanation=quantity.meaning,
        unit=quantity.unit,
        value_range=(float(values.min()), float(values.max())),
    )
    mapping.add_new("QuantityDefinitionSequence", "SQ", quantity_definition(quantity))
    dataset = hd.pm.ParametricMap(
        source_images=[_stand_in(setting, values.shape)],
        pixel_array=values,
        series_instance_uid=generate_uid(None),
        series_number=number,
        sop_instance_uid=generate_uid(None),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=SERIAL_NUMBER,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            hd.VOILUTTransformation(ready.window.center, ready.window.width, voi_lut_function="LINEAR_EXACT")
        ],
        content_label=quantity.name.upper(),
        content_description=setting.origin.content_description(quantity),
        image_flavor=hd.pm.ImageFlavorValues.PERFUSION,
        pixel_measures=hd.PixelMeasuresSequence(planes.pixel_spacing, planes.slice_spacing, planes.slice_spacing),
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", planes.orientation.tolist()),
        plane_positions=[hd.PlanePositionSequence("PATIENT", position) for position in planes.positions.tolist()],
        specific_character_set=CHARACTER_SET,
        series_description=setting.origin.series_description(quantity),
    )
    add_patient_and_study(dataset, setting.source)
    add_equipment_and_time(dataset, setting.now)
    dataset.Modality, dataset.BodyPartExamined = "MR", BODY_PART
    _add_anatomy(dataset)
    _add_derivation(dataset, ready, setting)
    dataset.save_as(path, enforce_file_format=True)
    del dataset.FloatPixelData
    return dataset


def _stand_in(setting: ExportSetting, shape: tuple[int, ...]) -> Dataset:
    """An image in the place of the source, on the grid of the map."""
    image, planes = Dataset(), setting.planes
    image.SeriesInstanceUID = setting.source.series or generate_uid(None)
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, generate_uid(None)
    _, image.Rows, image.Columns = shape
    image.ImageOrientationPatient = planes.orientation.tolist()
    image.ImagePositionPatient = planes.positions[0].tolist()
    image.PixelSpacing = list(planes.pixel_spacing)
    image.SliceThickness = image.SpacingBetweenSlices = planes.slice_spacing
    return of_nobody(image, setting.source)


def _add_anatomy(dataset: Dataset) -> None:
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [code_item(BRAIN)]
    dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]


def _add_derivation(dataset: Dataset, ready: ReadyMap, setting: ExportSetting) -> None:
    """What every frame was computed from and how, instead of the stand-in for the source."""
    del dataset.SourceImageSequence
    del dataset.ReferencedSeriesSequence
    text = setting.origin.derivation_description(ready.quantity)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        derivation = Dataset()
        derivation.DerivationDescription = text
        derivation.DerivationCodeSequence = [code_item(PERFUSION_ANALYSIS)]
        z = _slice_of(frame, setting.planes)
        derivation.SourceImageSequence = references(setting.source, setting.planes, z)
        frame.DerivationImageSequence = [derivation]
    if setting.source.files:
        dataset.ReferencedSeriesSequence = _referenced_series(setting)


def _slice_of(frame: Dataset, planes: Planes) -> int:
    position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
    return int(np.argmin(np.abs((planes.positions - position) @ planes.normal)))


def _referenced_series(setting: ExportSetting) -> Sequence:
    instances = []
    for file in setting.source.files:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = file.sop_class, file.sop_instance
        instances.append(item)
    series = Dataset()
    series.SeriesInstanceUID = setting.source.series
    series.ReferencedInstanceSequence = instances
    return Sequence([series])
