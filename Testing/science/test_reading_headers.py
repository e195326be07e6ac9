"""Headers of NIfTI and NRRD files, which we read ourselves, against the libraries that others read them with."""

from __future__ import annotations

import io

import nibabel
import nrrd
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from stunet_perfusion.reading import nifti_header, nrrd_header

_NUMBERS = st.floats(-300, 300, width=32)


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        i, j = [n for n in range(3) if n != axis]
        turn[[i, j], [i, j]] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


@st.composite
def geometries(draw) -> np.ndarray:
    """4x4 of any rotation, flip, spacing and place."""
    angles = draw(st.tuples(*(st.floats(-np.pi, np.pi),) * 3))
    spacing = draw(st.tuples(*(st.floats(0.3, 8),) * 3))
    flips = draw(st.tuples(*(st.sampled_from([-1, 1]),) * 3))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(angles) * np.array(spacing) * flips
    matrix[:3, 3] = draw(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS))
    return matrix


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from([nibabel.Nifti1Header, nibabel.Nifti2Header]),
    order=st.sampled_from("<>"),
    dtype=st.sampled_from(["u1", "i2", "i4", "f4", "f8", "u2", "i8"]),
    shape=st.lists(st.integers(1, 9), min_size=3, max_size=5),
    matrix=geometries(),
    codes=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    interval=st.floats(0.25, 4000, width=32),
    unit=st.sampled_from(["sec", "msec", "usec", "unknown"]),
    scaling=st.sampled_from([(1.0, 0.0), (2.5, -7.0), (0.001, 0.0)]),
)
def test_nifti_headers_are_read_as_nibabel_reads_them(
    kind, order, dtype, shape, matrix, codes, interval, unit, scaling
):
    header = kind(endianness=order)
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape(shape)
    header.set_qform(matrix, codes[0])
    header.set_sform(matrix @ np.diag([1, 1, 1.5, 1]), codes[1])
    if len(shape) > 3:
        header["pixdim"][4] = interval
    header.set_xyzt_units("mm", unit)
    header["scl_slope"], header["scl_inter"] = scaling
    header["toffset"] = 3.5
    header["magic"] = b"n+1" if kind is nibabel.Nifti1Header else header["magic"]
    header["vox_offset"] = 352 if kind is nibabel.Nifti1Header else 544

    try:
        expected = header.get_best_affine()
    except ValueError:
        # Some half turns nibabel cannot read back.
        reject()

    found = nifti_header.read_header(io.BytesIO(header.binaryblock + bytes(8)))

    assert found.shape == header.get_data_shape()
    assert found.dtype == header.get_data_dtype()
    assert found.offset == header.get_data_offset()
    assert (found.slope, found.intercept) == pytest.approx(scaling)
    # Near a half turn, the fourth number of a quaternion is the root of what rounding leaves.
    np.testing.assert_allclose(found.ijk_to_ras, expected, atol=1e-6, rtol=1e-9)
    assert (found.qform is None, found.sform is None) == (codes[0] == 0, codes[1] == 0)
    if codes[0]:
        # The rotation that was asked for, and not only what nibabel thinks of it. Near a half turn, the numbers of
        # NIfTI-1 tell it to 0.001 only.
        np.testing.assert_allclose(found.qform, matrix, atol=0.02)
    assert found.time_unit == header.get_xyzt_units()[1]
    assert found.start == 3.5
    if len(shape) > 3:
        assert found.interval == interval


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dim", 0),
        ("dim", 9),
        ("magic", b"ni1"),
        ("magic", b"x"),
        ("quatern_b", 1.2),
        ("vox_offset", -5),
        ("sizeof_hdr", 7),
    ],
)
def test_nonsense_in_a_nifti_header(field, value):
    header = nibabel.Nifti1Header()
    header.set_data_shape((3, 4, 5))
    header.set_qform(np.eye(4), 1)
    header["magic"] = b"n+1"
    header["scl_slope"] = 1
    header["scl_inter"] = 0
    if field == "dim":
        header["dim"][0] = value
    else:
        header[field] = value
    with pytest.raises(ValueError):  # noqa: PT011 (whatever it says, the file is named by the caller)
        nifti_header.read_header(io.BytesIO(header.binaryblock))


@pytest.mark.parametrize("length", [0, 3, 4, 100, 347])
def test_a_nifti_file_that_ends_early(length):
    header = nibabel.Nifti1Header().binaryblock
    with pytest.raises(EOFError):
        nifti_header.read_header(io.BytesIO(header[:length]))


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.tuples(*(st.integers(1, 6),) * 3),
    list_axis=st.sampled_from([None, 0, 3]),
    frames=st.integers(2, 5),
    matrix=geometries(),
    encoding=st.sampled_from(["raw", "gzip"]),
    note=st.text("abcdef :=,;#()%", max_size=20),
)
def test_nrrd_headers_are_read_as_pynrrd_reads_them(tmp_path_factory, sizes, list_axis, frames, matrix, encoding, note):
    shape, directions, kinds, units = list(sizes), [list(row) for row in matrix[:3, :3].T], ["domain"] * 3, ["mm"] * 3
    if list_axis is not None:
        shape.insert(list_axis, frames)
        directions.insert(list_axis, [np.nan] * 3)
        kinds.insert(list_axis, "list")
        units.insert(list_axis, "s")
    fields = {
        "space": "left-posterior-superior",
        "space directions": np.array(directions),
        "space origin": matrix[:3, 3],
        "kinds": kinds,
        "units": units,
        "encoding": encoding,
        "axis 0 index values": "0 1.5 3",
        "MultiVolume.Note": note.strip(),
    }
    path = tmp_path_factory.mktemp("nrrd") / "x.nrrd"
    nrrd.write(str(path), np.zeros(shape, np.int16), fields)
    expected = nrrd.read_header(str(path))

    with path.open("rb") as file:
        found = nrrd_header.read_header(file)
        offset = file.tell()
    with path.open("rb") as file:
        nrrd.read_header(file)
        assert offset == file.tell()

    assert found.keys() == expected.keys()
    for name in expected:
        if name in ("space directions", "space origin", "sizes"):
            np.testing.assert_array_equal(found[name], expected[name])
        else:
            assert found[name] == expected[name], name


@pytest.mark.parametrize(
    "text",
    [
        "This is a letter.\n",
        "NRRD0009\ndimension: 3\n\n",
        "NRRDxxxx\n\n",
        "NRRD0005\nno field\n\n",
        "NRRD0005\ndimension: three\n\n",
        "NRRD0005\nsizes: 3\nsizes: 3\n\n",
        "NRRD0005\nspace directions: none none\n\n",
        "NRRD0005\nspace directions: (1,0,0) (0,1)\n\n",
        "NRRD0005\nspace origin: 1 2 3\n\n",
    ],
)
def test_nonsense_in_an_nrrd_header(text):
    with pytest.raises(ValueError):  # noqa: PT011
        nrrd_header.read_header(io.BytesIO(text.encode()))
