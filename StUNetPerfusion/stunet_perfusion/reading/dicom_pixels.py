"""The stored numbers of DICOM files, frame by frame, whatever their transfer syntax.

pydicom decodes what its installed plug-ins read. What they do not, SimpleITK does with the decoders of GDCM that it
brings along: each compressed frame goes through a small file of its own, so that SimpleITK neither holds the whole
object in memory nor applies a rescaling that differs from frame to frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.tag import Tag

from stunet_perfusion.reading.stream import readable
from stunet_perfusion.support.dicom_dataset import inflated_file, is_deflated
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.temporary import temporary_folder

#: What GDCM in SimpleITK decodes.
_READ_BY_SIMPLEITK = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
)

#: What a decoder needs to know of an image.
_PIXEL_TAGS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_OFFSETS = (0x7FE00001, 0x7FE00002)

#: Bytes of the element (7FE0,0010) before its encapsulated value: tag, type, length.
_ELEMENT_HEADER = 12

_DECOMPRESS = "copy it again, or decompress the series first (for example with gdcmconv --raw)"


def stored_frames(path: Path, transfer_syntax: str) -> Iterator[np.ndarray]:
    """The frames of a file as (Y, X) arrays of what is stored, without rescaling, one after the other.

    :param transfer_syntax: its UID
    :raises InputError: nothing that is installed reads the transfer syntax, or the pixels are damaged
    """
    syntax = uid.UID(transfer_syntax)
    frames = _decoder(path, syntax)
    try:
        with readable(path.name):
            yield from frames(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        # Decoders are plug-ins of many hands, and each raises what it likes of damaged pixels.
        raise InputError(path.name, f"has pixels that cannot be decoded ({syntax.name})", _DECOMPRESS) from error


def _decoder(path: Path, syntax: uid.UID) -> Callable[[Path], Iterator[np.ndarray]]:
    if is_deflated(path):
        return _inflated
    if _is_read_by_pydicom(syntax):
        return lambda path: iter_pixels(path, raw=True)
    if syntax in _READ_BY_SIMPLEITK:
        return _frames_by_simpleitk
    raise InputError(
        path.name,
        f"has pixels in a compression that nothing installed here reads ({syntax.name or 'no transfer syntax'})",
        "decompress the series first (for example with gdcmconv --raw), or install the package pylibjpeg with its "
        "plug-ins, which pydicom then uses",
    )


def _is_read_by_pydicom(syntax: uid.UID) -> bool:
    if syntax == uid.JPEGExtended12Bit:
        # pydicom counts on Pillow, which reads the 8-bit half of it only.
        return False
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _inflated(path: Path) -> Iterator[np.ndarray]:
    """A deflated file is compressed as a whole, so it is inflated as a whole, outside of memory."""
    with temporary_folder() as folder, inflated_file(path, folder) as inflated:
        yield from iter_pixels(inflated, raw=True)


def _frames_by_simpleitk(path: Path) -> Iterator[np.ndarray]:
    tags = [Tag(tag) for tag in (*_PIXEL_TAGS, "NumberOfFrames", *_OFFSETS)]
    with open(path, "rb") as file, temporary_folder() as folder:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags)
        file.seek(_ELEMENT_HEADER, 1)
        count = int(dataset.get("NumberOfFrames") or 1)
        offsets = tuple(dataset[tag].value for tag in _OFFSETS) if _OFFSETS[0] in dataset else None
        # The generator may find more than there are: fragments of JPEG frames without a table.
        frames = generate_frames(file, number_of_frames=count, extended_offsets=offsets)
        for _, frame in zip(range(count), frames, strict=False):
            yield _decoded_by_simpleitk(frame, dataset, folder / "frame.dcm")


def _decoded_by_simpleitk(frame: bytes, dataset: Dataset, file: Path) -> np.ndarray:
    """Decode one frame.

    :param frame: its compressed bytes
    :param dataset: what the image is, with its transfer syntax
    :param file: where it may be written for a moment
    """
    import SimpleITK as sitk

    single = Dataset()
    single.file_meta = FileMetaDataset()
    single.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    single.file_meta.MediaStorageSOPClassUID = single.SOPClassUID = uid.SecondaryCaptureImageStorage
    single.file_meta.MediaStorageSOPInstanceUID = single.SOPInstanceUID = uid.generate_uid()
    for keyword in _PIXEL_TAGS:
        if keyword in dataset:
            single[keyword] = dataset[keyword]
    single.PixelData = encapsulate([frame])
    single["PixelData"].VR = "OB"
    single.save_as(file, enforce_file_format=True)
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(file), imageIO="GDCMImageIO"))
    return array.reshape(array.shape[-2:])
