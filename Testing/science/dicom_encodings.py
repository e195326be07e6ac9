"""DICOM datasets in the transfer syntaxes that archives use."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames


def implicit(dataset: FileDataset) -> None:
    """Types of elements are left out."""
    dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian


def big_endian(dataset: FileDataset) -> None:
    """The retired syntax of old archives."""
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()


def deflated(dataset: FileDataset) -> None:
    """The file is compressed as a whole."""
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian


def run_lengths(dataset: FileDataset) -> None:
    """RLE, by pydicom."""
    dataset.compress(uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)


def jpeg_ls(dataset: FileDataset) -> None:
    """JPEG-LS, by pydicom's plug-in pyjpegls, without which a test is skipped."""
    pytest.importorskip("jpeg_ls")
    dataset.compress(uid.JPEGLSLossless, generate_instance_uid=False)


def jpeg_lossless(dataset: FileDataset) -> None:
    """JPEG lossless (selection value 1), by GDCM in SimpleITK."""
    _compress_by_simpleitk(dataset, "JPEG", uid.JPEGLosslessSV1)


def jpeg_2000(dataset: FileDataset) -> None:
    """JPEG 2000 lossless, by GDCM in SimpleITK."""
    _compress_by_simpleitk(dataset, "JPEG2000", uid.JPEG2000Lossless)


def _compress_by_simpleitk(dataset: FileDataset, compressor: str, syntax: uid.UID) -> None:
    count = int(dataset.get("NumberOfFrames", 1))
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(count, dataset.Rows, dataset.Columns)
    frames = [_compressed(frame, compressor, syntax) for frame in stored]
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"


def _compressed(frame: np.ndarray, compressor: str, syntax: uid.UID) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.dcm"
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor(compressor)
        writer.SetFileName(str(file))
        writer.Execute(sitk.GetImageFromArray(frame))
        written = pydicom.dcmread(file)
    assert written.file_meta.TransferSyntaxUID == syntax
    return next(generate_frames(written.PixelData, number_of_frames=1))
