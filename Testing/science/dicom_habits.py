"""The same DSC series as the scanners of different makers write it.

`HABITS` holds a writer for each habit. All write the same signal, times, geometry and TE: whoever reads them must get
the same series out of all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from science import dicom_mosaics, dicom_multiframe
from science.dicom_datasets import (
    START,
    add_mr_tags,
    add_place,
    new_object,
    save,
    series_dataset,
    stored,
    time_of_day,
)
from science.dicom_encodings import big_endian, deflated, implicit, jpeg_2000, jpeg_lossless, jpeg_ls, run_lengths
from science.synthetic import make_series
from stunet_perfusion.series import DscSeries, Grid

#: Writes a series into a folder that exists.
Writer = Callable[[Path, DscSeries], None]

#: Changes an image, given its frame and slice.
Change = Callable[[FileDataset, int, int], None]


def whole_numbers(frames: int = 20, shape: tuple[int, int, int] = (5, 24, 22), grid: Grid | None = None) -> DscSeries:
    """A series that 16-bit integers hold exactly: what is read can be compared bit for bit."""
    series = make_series(frames, shape, frame_interval=1.5, noise=5, grid=grid)
    return DscSeries(np.rint(series.signal), series.times, series.grid, series.echo_time, "whole numbers")


def scanner_names(count: int, seed: int = 0) -> list[str]:
    """Names of files in an order that tells nothing, without suffix."""
    return [f"IM{number:05d}" for number in np.random.default_rng(seed).permutation(count)]


def write_single_images(
    folder: Path,
    series: DscSeries,
    change: Change,
    *,
    maker: str,
    model: str,
    finish: Callable[[FileDataset], None] = lambda dataset: None,
    slices_descend: bool = False,
) -> None:
    """One file a slice and frame, of which `change` writes what is the maker's own.

    :param finish: what is done with the complete dataset before it is written
    :param slices_descend: whether the images are numbered from the last slice to the first
    """
    common = series_dataset(series, maker=maker, model=model)
    slices = series.grid.shape[0]
    names = scanner_names(series.frames * slices)
    for frame in range(series.frames):
        for z in range(slices):
            place = slices - 1 - z if slices_descend else z
            dataset = new_object(common)
            add_mr_tags(dataset, series)
            add_place(dataset, series, z)
            dataset.InstanceNumber = frame * slices + place + 1
            dataset.PixelData = stored(series.signal[frame, z]).tobytes()
            change(dataset, frame, z)
            finish(dataset)
            save(dataset, folder, names[frame * slices + z])


def siemens_single(folder: Path, series: DscSeries, **options) -> None:
    """Acquisition time of every slice (odd slices first), number of the measurement."""
    delays = _interleaved_delays(series)

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = time_of_day(START + series.times[frame] + delays[z])
        dataset.AcquisitionNumber = frame + 1

    write_single_images(folder, series, change, maker="SIEMENS", model="Skyra", **options)


def siemens_measurements(folder: Path, series: DscSeries) -> None:
    """Times taken out by an anonymizer; the number of the measurement is left, and the images have no other order."""
    numbers = np.random.default_rng(1).permutation(series.signal.shape[0] * series.signal.shape[1]) + 1

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = "000000"
        dataset.AcquisitionNumber = frame + 1
        dataset.InstanceNumber = int(numbers[frame * series.signal.shape[1] + z])

    write_single_images(folder, series, change, maker="SIEMENS", model="Skyra")


def ge_trigger_time(folder: Path, series: DscSeries) -> None:
    """Trigger time of every image; one acquisition time for all; images numbered slice by slice."""
    delays = _interleaved_delays(series)

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = time_of_day(round(START))
        dataset.TriggerTime = f"{1000 * (series.times[frame] + delays[z]):.6g}"
        dataset.AcquisitionNumber = 1
        dataset.InstanceNumber = z * series.frames + frame + 1

    write_single_images(folder, series, change, maker="GE MEDICAL SYSTEMS", model="DISCOVERY MR750")


def ge_whole_seconds(folder: Path, series: DscSeries) -> None:
    """Acquisition times without fractions of a second, which repeat a step of 1, then 2 s."""

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = time_of_day(np.floor(START + series.times[frame]))[:6]

    write_single_images(folder, series, change, maker="GE MEDICAL SYSTEMS", model="SIGNA HDxt")


def ge_number_only(folder: Path, series: DscSeries) -> None:
    """Nothing but the order of the images tells the frames apart."""

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = time_of_day(round(START))
        dataset.AcquisitionNumber = 1

    write_single_images(folder, series, change, maker="GE MEDICAL SYSTEMS", model="SIGNA EXCITE", slices_descend=True)


def philips_single(folder: Path, series: DscSeries) -> None:
    """Number of the dynamic scan; random image numbers; rescale and private scale slope of every image."""
    numbers = np.random.default_rng(2).permutation(series.signal.shape[0] * series.signal.shape[1]) + 1

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = time_of_day(START)
        dataset.TemporalPositionIdentifier = frame + 1
        dataset.NumberOfTemporalPositions = series.frames
        dataset.InstanceNumber = int(numbers[frame * series.signal.shape[1] + z])
        _philips_scale(dataset, series, frame, z)

    write_single_images(folder, series, change, maker="Philips Medical Systems", model="Ingenia")


def philips_dynamic_time(folder: Path, series: DscSeries) -> None:
    """A 3-D sequence whose repetition time is not the frame interval; private time of the dynamic scan; phase images
    among those of the magnitude.
    """

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = time_of_day(START)
        dataset.TemporalPositionIdentifier = frame + 1
        dataset.RepetitionTime = "17"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"]
        private = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        private.add_new(0xA0, "FL", float(series.times[frame]))

    write_single_images(folder, series, change, maker="Philips Medical Systems", model="Achieva")
    for file in sorted(folder.iterdir())[::9]:
        _write_phase_beside(file)


def in_syntax(encode: Callable[[FileDataset], None]) -> Writer:
    """Siemens' single images in another transfer syntax."""
    return lambda folder, series: siemens_single(folder, series, finish=encode)


def _philips_scale(dataset: FileDataset, series: DscSeries, frame: int, z: int) -> None:
    slope, intercept = 2.0 ** -(1 + (frame + z) % 4), -8.0
    dataset.PixelData = stored(series.signal[frame, z], slope, intercept).tobytes()
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = str(slope), str(intercept), "normalized"
    private = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    private.add_new(0x0E, "FL", 0.0173 / slope)


def _write_phase_beside(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(file.with_name(file.name + "P"), enforce_file_format=True)


def _interleaved_delays(series: DscSeries) -> np.ndarray:
    """(Z,) seconds from the start of a frame to the acquisition of each slice, every other slice first."""
    slices = series.grid.shape[0]
    order = np.argsort([*range(0, slices, 2), *range(1, slices, 2)])
    return np.round(order * series.frame_interval / slices, 6)


#: By what a person would call it. Each is a way in which real scanners and archives write one and the same series.
HABITS: dict[str, Writer] = {
    "Siemens: acquisition time of every slice": siemens_single,
    "Siemens: measurement number only, anonymized": siemens_measurements,
    "Siemens: mosaics": dicom_mosaics.ascending,
    "Siemens: mosaics, slices from the top down": dicom_mosaics.descending,
    "Siemens: mosaics, old private header": dicom_mosaics.old_private_header,
    "Siemens: enhanced, one object": dicom_multiframe.siemens_one_object,
    "Siemens: enhanced, one object a time point": dicom_multiframe.siemens_object_a_time_point,
    "GE: trigger time, slice by slice": ge_trigger_time,
    "GE: times in whole seconds": ge_whole_seconds,
    "GE: image numbers only, slices from the top down": ge_number_only,
    "Philips: temporal position, rescale of every image": philips_single,
    "Philips: dynamic scan time, phase images beside": philips_dynamic_time,
    "Philips: enhanced, one object, slice by slice": dicom_multiframe.philips_one_object,
    "Enhanced: offset in time only": dicom_multiframe.time_offset_only,
    "Enhanced: dimension index only": dicom_multiframe.dimension_index_only,
    "Enhanced: single images converted by an archive": dicom_multiframe.converted_by_archive,
    "Single images, implicit types": in_syntax(implicit),
    "Single images, big endian": in_syntax(big_endian),
    "Single images, deflated": in_syntax(deflated),
    "Single images, RLE": in_syntax(run_lengths),
    "Single images, JPEG lossless": in_syntax(jpeg_lossless),
    "Single images, JPEG-LS": in_syntax(jpeg_ls),
    "Single images, JPEG 2000": in_syntax(jpeg_2000),
    "Mosaics, JPEG 2000": dicom_mosaics.in_jpeg_2000,
    "Enhanced, JPEG lossless": dicom_multiframe.in_jpeg_lossless,
    "Enhanced, RLE": dicom_multiframe.in_run_lengths,
}
