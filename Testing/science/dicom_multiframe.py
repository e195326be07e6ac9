"""Enhanced (multi-frame) MR objects of a synthetic series."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, generate_uid

from science.dicom_datasets import (
    START,
    add_mr_tags,
    date_and_time,
    decimal,
    item,
    new_object,
    orientation,
    pixel_spacing,
    save,
    series_dataset,
    slice_position,
    stored,
    time_of_day,
)
from science.dicom_encodings import jpeg_lossless, run_lengths
from stunet_perfusion.series import DscSeries

#: A frame of an object: its number in time, and its slice.
Place = tuple[int, int]

#: Writes into a frame's functional groups what tells frames apart, given its number in time and its slice.
Tell = Callable[[Dataset, int, int], None]

_DIMENSIONS = ("StackID", "InStackPositionNumber", "TemporalPositionIndex")


def siemens_one_object(folder: Path, series: DscSeries) -> None:
    """All frames in one object, in time; acquisition date and time of every one."""
    _write_object(folder, "IM0", series, _by_time(series), _acquired(series), maker="Siemens Healthineers")


def siemens_object_a_time_point(folder: Path, series: DscSeries) -> None:
    """One object a time point. The reference time differs from the acquisition's, which de-identification removed."""

    def tell(groups: Dataset, frame: int, z: int) -> None:
        groups.FrameContentSequence[0].FrameReferenceDateTime = date_and_time(START + series.times[frame])
        groups.FrameContentSequence[0].FrameAcquisitionDateTime = date_and_time(0)

    common = _common(series, maker="Siemens Healthineers")
    names = np.random.default_rng(4).permutation(series.frames)
    for frame in range(series.frames):
        places = [(frame, z) for z in range(series.grid.shape[0])]
        _write_object(folder, f"{names[frame]:03d}.dcm", series, places, tell, common=common, number=frame + 1)


def philips_one_object(folder: Path, series: DscSeries) -> None:
    """All frames in one object, slice by slice, with a rescale of their own, the index of the dynamic scan, and a
    private sequence in which position and rescale are other ones.
    """

    def tell(groups: Dataset, frame: int, z: int) -> None:
        groups.FrameContentSequence[0].TemporalPositionIndex = frame + 1
        groups.FrameContentSequence[0].FrameAcquisitionDateTime = date_and_time(START)
        slope = _philips_slope(frame, z)
        groups.PixelValueTransformationSequence = item(
            RescaleIntercept="-8", RescaleSlope=decimal(slope), RescaleType="US"
        )
        own = Dataset()
        own.ImagePositionPatient = [decimal(value) for value in slice_position(series, z) + 0.5]
        own.RescaleSlope, own.RescaleIntercept, own.TemporalPositionIdentifier = "1", "0", 1
        own.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.0173 / slope)
        block = groups.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        block.add_new(0x0F, "SQ", Sequence([own]))

    places = [(frame, z) for z in range(series.grid.shape[0]) for frame in range(series.frames)]
    _write_object(
        folder,
        "IM_0001",
        series,
        places,
        tell,
        maker="Philips Medical Systems",
        scale=lambda frame, z: (_philips_slope(frame, z), -8.0),
    )


def time_offset_only(folder: Path, series: DscSeries) -> None:
    """Seconds from the start of the series, in a group of their own; the slices come from the top down."""

    def tell(groups: Dataset, frame: int, z: int) -> None:
        groups.TemporalPositionSequence = item(TemporalPositionTimeOffset=float(series.times[frame]))

    places = [(frame, z) for frame in range(series.frames) for z in reversed(range(series.grid.shape[0]))]
    _write_object(folder, "object", series, places, tell)


def dimension_index_only(folder: Path, series: DscSeries) -> None:
    """The frames are shuffled, and only their index along the dimension of time puts them in order."""
    places = _by_time(series)
    shuffled = [places[place] for place in np.random.default_rng(5).permutation(len(places))]
    _write_object(folder, "object", series, shuffled, lambda groups, frame, z: None)


def converted_by_archive(folder: Path, series: DscSeries) -> None:
    """Single images that became one object: what has no place of its own is in "unassigned" groups."""

    def tell(groups: Dataset, frame: int, z: int) -> None:
        groups.UnassignedPerFrameConvertedAttributesSequence = item(
            TriggerTime=decimal(1000 * series.times[frame]), InstanceNumber=str(frame * series.grid.shape[0] + z + 1)
        )

    common = _common(series, LegacyConvertedEnhancedMRImageStorage)
    shared = Dataset()
    add_mr_tags(shared, series)
    common.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence = Sequence([shared])
    del common.DimensionIndexSequence[2]
    del common.SharedFunctionalGroupsSequence[0].MREchoSequence
    del common.SharedFunctionalGroupsSequence[0].MRTimingAndRelatedParametersSequence
    _write_object(folder, "object", series, _by_time(series), tell, common=common)


def in_jpeg_lossless(folder: Path, series: DscSeries) -> None:
    """Every frame of one object is compressed."""
    _write_object(folder, "object", series, _by_time(series), _acquired(series), finish=jpeg_lossless)


def in_run_lengths(folder: Path, series: DscSeries) -> None:
    """Every frame of one object is compressed."""
    _write_object(folder, "object", series, _by_time(series), _acquired(series), finish=run_lengths)


def _by_time(series: DscSeries) -> list[Place]:
    return [(frame, z) for frame in range(series.frames) for z in range(series.grid.shape[0])]


def _acquired(series: DscSeries) -> Tell:
    """Slices are acquired one after the other."""
    delay = series.frame_interval / series.grid.shape[0]

    def tell(groups: Dataset, frame: int, z: int) -> None:
        taken = date_and_time(START + series.times[frame] + z * delay)
        groups.FrameContentSequence[0].FrameAcquisitionDateTime = taken
        groups.FrameContentSequence[0].FrameReferenceDateTime = taken
        groups.FrameContentSequence[0].FrameAcquisitionDuration = 1000 * delay
        groups.FrameContentSequence[0].TemporalPositionIndex = frame + 1

    return tell


def _philips_slope(frame: int, z: int) -> float:
    return 2.0 ** -(1 + (frame + z) % 4)


def _common(
    series: DscSeries, sop_class: str = EnhancedMRImageStorage, maker: str = "Philips Medical Systems"
) -> FileDataset:
    """What all objects of a series have in common, and what all frames of an object have."""
    dataset = series_dataset(series, sop_class, maker=maker, model="any")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "PERFUSION", "NONE"]
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ComplexImageComponent = "NONE", "MAGNITUDE"
    dataset.AcquisitionContrast, dataset.PresentationLUTShape = "PERFUSION", "IDENTITY"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.AcquisitionDateTime, dataset.AcquisitionDuration = date_and_time(START), float(series.times[-1])
    dataset.AcquisitionContextSequence = Sequence([])
    organization = generate_uid()
    dataset.DimensionOrganizationSequence = item(DimensionOrganizationUID=organization)
    dataset.DimensionIndexSequence = Sequence([_dimension(organization, keyword) for keyword in _DIMENSIONS])
    shared = Dataset()
    shared.PixelMeasuresSequence = item(
        PixelSpacing=pixel_spacing(series),
        SliceThickness=decimal(series.grid.spacing[2]),
        SpacingBetweenSlices=decimal(series.grid.spacing[2]),
    )
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=orientation(series))
    shared.PixelValueTransformationSequence = item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")
    shared.MREchoSequence = item(EffectiveEchoTime=1000 * series.echo_time)
    shared.MRTimingAndRelatedParametersSequence = item(
        RepetitionTime=decimal(1000 * series.frame_interval), FlipAngle="60", EchoTrainLength=1
    )
    shared.MRImageFrameTypeSequence = item(
        FrameType=list(dataset.ImageType),
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="MAGNITUDE",
        AcquisitionContrast="PERFUSION",
    )
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    return dataset


def _dimension(organization: str, keyword: str) -> Dataset:
    dataset = Dataset()
    dataset.DimensionOrganizationUID = organization
    dataset.DimensionIndexPointer = tag_for_keyword(keyword)
    dataset.FunctionalGroupPointer = tag_for_keyword("FrameContentSequence")
    return dataset


def _write_object(
    folder: Path,
    name: str,
    series: DscSeries,
    places: Iterable[Place],
    tell: Tell,
    *,
    common: FileDataset | None = None,
    maker: str = "Philips Medical Systems",
    number: int = 1,
    scale: Callable[[int, int], tuple[float, float]] = lambda frame, z: (1.0, 0.0),
    finish: Callable[[FileDataset], None] = lambda dataset: None,
) -> None:
    """Write one object.

    :param places: its frames in order
    :param scale: slope and intercept of each
    """
    dataset = new_object(common or _common(series, maker=maker))
    dataset.InstanceNumber, dataset.ContentTime = number, time_of_day(START)
    groups, pixels = [], []
    for frame, z in places:
        own = Dataset()
        indices = [1, z + 1, frame + 1][: len(dataset.DimensionIndexSequence)]
        own.FrameContentSequence = item(StackID="1", InStackPositionNumber=z + 1, DimensionIndexValues=indices)
        own.PlanePositionSequence = item(ImagePositionPatient=[decimal(value) for value in slice_position(series, z)])
        tell(own, frame, z)
        groups.append(own)
        pixels.append(stored(series.signal[frame, z], *scale(frame, z)).tobytes())
    dataset.NumberOfFrames = len(groups)
    if any("PixelValueTransformationSequence" in own for own in groups):
        del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.PixelData = b"".join(pixels)
    finish(dataset)
    save(dataset, folder, name)
