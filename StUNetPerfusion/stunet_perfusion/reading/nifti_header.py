"""The binary header at the start of a NIfTI-1 or NIfTI-2 file. Read here, since 3D Slicer brings no library for it.

The formats are told at nifti.nimh.nih.gov.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BufferedIOBase
from typing import Literal

import numpy as np

from stunet_perfusion.reading.stream import LONGEST_PREFIX

_NIFTI1 = [
    ("sizeof_hdr", "i4"),
    ("unused1", "S36"),
    ("dim", "i2", 8),
    ("unused2", "S14"),
    ("datatype", "i2"),
    ("bitpix", "i2"),
    ("slice_start", "i2"),
    ("pixdim", "f4", 8),
    ("vox_offset", "f4"),
    ("scl_slope", "f4"),
    ("scl_inter", "f4"),
    ("slice_end", "i2"),
    ("slice_code", "u1"),
    ("xyzt_units", "u1"),
    ("calibration", "f4", 2),
    ("slice_duration", "f4"),
    ("toffset", "f4"),
    ("unused3", "S112"),
    ("qform_code", "i2"),
    ("sform_code", "i2"),
    ("quaternion", "f4", 3),
    ("qoffset", "f4", 3),
    ("srow", "f4", (3, 4)),
    ("intent_name", "S16"),
    ("magic", "S4"),
]

_NIFTI2 = [
    ("sizeof_hdr", "i4"),
    ("magic", "S8"),
    ("datatype", "i2"),
    ("bitpix", "i2"),
    ("dim", "i8", 8),
    ("intent", "f8", 3),
    ("pixdim", "f8", 8),
    ("vox_offset", "i8"),
    ("scl_slope", "f8"),
    ("scl_inter", "f8"),
    ("calibration", "f8", 2),
    ("slice_duration", "f8"),
    ("toffset", "f8"),
    ("slice_range", "i8", 2),
    ("unused", "S104"),
    ("qform_code", "i4"),
    ("sform_code", "i4"),
    ("quaternion", "f8", 3),
    ("qoffset", "f8", 3),
    ("srow", "f8", (3, 4)),
    ("slice_code", "i4"),
    ("xyzt_units", "i4"),
    ("intent_code", "i4"),
    ("intent_name", "S16"),
    ("dim_info", "u1"),
    ("unused2", "S15"),
]

_LAYOUTS = {348: np.dtype(_NIFTI1), 540: np.dtype(_NIFTI2)}
_MAGIC = (b"n+1", b"n+2\0\r\n\x1a\n"[:7])

#: The format's codes for each type of plain number.
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"
}  # fmt: skip

_TIME_UNITS = {0: "unknown", 8: "sec", 16: "msec", 24: "usec", 32: "hz", 40: "ppm", 48: "rads"}

#: Where the three numbers of a quaternion that are stored are as long as 1 to so many of their eps, the fourth is 0, as
#: nibabel has it. What is longer by more than rounding is no rotation.
_QUATERNION_EPS, _QUATERNION_EXCESS = 3, 1e-4


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What a header says.

    :param shape: voxels along i, j, k, time ...
    :param dtype: of the stored numbers, with their byte order; None where they are no plain numbers
    :param type_code: the format's number for it
    :param offset: bytes from the start of the file to the first voxel
    :param slope: of the stored numbers; 1 where none is given
    :param intercept: of the stored numbers
    :param qform: 4x4 by rotation, or None where the file gives none
    :param sform: 4x4 row by row, or None where the file gives none
    :param spacing: (3,) mm
    :param interval: between two frames, in `time_unit`
    :param start: of the first frame, in `time_unit`
    :param time_unit: sec, msec, usec, unknown ...
    """

    shape: tuple[int, ...]
    dtype: np.dtype | None
    type_code: int
    offset: int
    slope: float
    intercept: float
    qform: np.ndarray | None
    sform: np.ndarray | None
    spacing: np.ndarray
    interval: float
    start: float
    time_unit: str

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """4x4: the sform, else the qform, else axes along right-left, posterior-anterior, inferior-superior around the
        middle of the volume, as other programs have it where the file says nothing.
        """
        if self.sform is not None:
            return self.sform
        if self.qform is not None:
            return self.qform
        axes = self.spacing * (-1, 1, 1)
        matrix = np.diag([*axes, 1.0])
        matrix[:3, 3] = -axes * (np.array(self.shape[:3]) - 1) / 2
        return matrix


def read_header(file: BufferedIOBase) -> NiftiHeader:
    """Read the header.

    :raises EOFError: the file ends before its header
    :raises ValueError: no NIfTI file, or one with nonsense in its header
    """
    start = file.read(4)
    if len(start) < 4:
        raise EOFError("the file ends before its header")
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    order = next((order for order in orders if int(np.frombuffer(start, order + "i4")[0]) in _LAYOUTS), None)
    if order is None:
        raise ValueError("no NIfTI file")
    layout = _LAYOUTS[int(np.frombuffer(start, order + "i4")[0])].newbyteorder(order)
    rest = file.read(layout.itemsize - 4)
    if len(rest) < layout.itemsize - 4:
        raise EOFError("the file ends before its header")
    fields = np.frombuffer(start + rest, layout)[0]
    if not bytes(fields["magic"]).startswith(_MAGIC):
        raise ValueError("no NIfTI file of one piece")
    return _parsed(fields, order)


def _parsed(fields: np.void, order: str) -> NiftiHeader:
    dimensions = int(fields["dim"][0])
    if not 1 <= dimensions <= 7:
        raise ValueError(f"{dimensions} dimensions")
    code = int(fields["datatype"])
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        slope, intercept = 1.0, 0.0
    elif not np.isfinite(intercept):
        raise ValueError("an intercept that is no number")
    offset = float(fields["vox_offset"])
    if not 0 <= offset <= LONGEST_PREFIX:
        raise ValueError("voxels that are far from the start of the file")
    has_qform, has_sform = int(fields["qform_code"]) > 0, int(fields["sform_code"]) > 0
    return NiftiHeader(
        shape=tuple(int(n) for n in fields["dim"][1 : dimensions + 1]),
        dtype=np.dtype(order + _TYPES[code]) if code in _TYPES else None,
        type_code=code,
        # Files exist that leave 0 here and mean "after the header".
        offset=int(offset) or {348: 352, 540: 544}[int(fields["sizeof_hdr"])],
        slope=slope,
        intercept=intercept,
        qform=_rotation(fields) if has_qform else None,
        sform=np.vstack([np.asarray(fields["srow"], dtype=float), [0, 0, 0, 1]]) if has_sform else None,
        spacing=np.abs(np.asarray(fields["pixdim"][1:4], dtype=float)),
        interval=float(fields["pixdim"][4]),
        start=float(fields["toffset"]),
        time_unit=_TIME_UNITS.get(int(fields["xyzt_units"]) & 0x38, "unknown"),
    )


def _rotation(fields: np.void) -> np.ndarray:
    """4x4 from the quaternion; the first of its four numbers is not stored.

    :raises ValueError: the three are longer than 1
    """
    b, c, d = np.asarray(fields["quaternion"], dtype=float)
    square = 1 - (b * b + c * c + d * d)
    tolerance = _QUATERNION_EPS * np.finfo(fields["quaternion"].dtype).eps
    if not square > -_QUATERNION_EXCESS:
        raise ValueError("a rotation that is none")
    # A half turn has no fourth number; what rounding leaves of it would tilt the volume.
    a = np.sqrt(square) if square >= tolerance else 0.0
    a, b, c, d = np.array([a, b, c, d]) / np.sqrt(a * a + b * b + c * c + d * d)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness = -1.0 if float(fields["pixdim"][0]) < 0 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.asarray(fields["pixdim"][1:4], dtype=float) * (1, 1, handedness)
    matrix[:3, 3] = fields["qoffset"]
    return matrix
