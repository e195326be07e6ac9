"""Maps as DICOM objects: values, places, codes and belonging survive, and validators agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from science.dicom_export_case import (
    FRAMES,
    GRIDS,
    ORIGIN,
    PATIENT,
    PLACE,
    SHAPE,
    grid_named,
    known_maps,
    series_of,
    validator_errors,
    write_source,
)
from stunet_perfusion.dicom_export import MapOrigin, anonymous_source, export_maps, quantities, read_source
from stunet_perfusion.dicom_export.quantities import quantity_of
from stunet_perfusion.reading.formats import open_recording
from stunet_perfusion.series import Grid
from stunet_perfusion.support.colormap import perfusion_colors
from stunet_perfusion.support.progress import no_progress

pytest.importorskip("highdicom", reason="needs highdicom: pip install 'stunet-perfusion[dicom]'")

MAPS = known_maps()

#: DICOM PS3.16, CID 4108 and CID 7180; units of CID 4108 and CID 7181; from the package's units to these.
CODES = {
    "cbv": ("126398", "Relative Regional Blood Volume", "ml/(100.ml)", 100),
    "cbf": ("126397", "Relative Regional Blood Flow", "ml/(100.ml)/min", 6000),
    "mtt": ("113052", "Mean Transit Time", "s", 1),
    "cbv_uncertainty": ("126398", "Relative Regional Blood Volume", "ml/(100.ml)", 100),
    "cbv_standardized": ("113071", "Z-score", "1", 1),
    "ncbv": ("126398", "Relative Regional Blood Volume", "{ratio}", 1),
    "ncbv_uncertainty": ("126398", "Relative Regional Blood Volume", "{ratio}", 1),
    "tmax": ("113084", "Tmax", "s", 1),
    "peak_height": ("126376", "Maximum Difference", "/s", 1),
    "psr": ("PSR", "Percentage signal recovery", "%", 1),
}

#: Quantities that the standard has no code for.
SCHEMES = {"psr": "99STUNETPERF"}


@pytest.fixture(scope="module", params=GRIDS)
def exported(request, tmp_path_factory) -> tuple[Grid, Path, Path]:
    """A grid, the source on it, and the export of all maps."""
    grid = grid_named(request.param)
    folder = tmp_path_factory.mktemp("export")
    source = write_source(folder / "dsc", grid)
    export_maps(MAPS, grid, read_source(source), ORIGIN, folder / "dicom")
    return grid, source, folder / "dicom"


def window_width(name: str, folder: Path) -> float:
    return float(series_of(folder / "mr" / name)[0].WindowWidth)


@pytest.mark.parametrize("name", MAPS)
def test_an_mr_series_is_read_back_by_simpleitk(exported, name: str) -> None:
    grid, _, folder = exported
    reader = sitk.ImageSeriesReader()
    series = reader.GetGDCMSeriesIDs(str(folder / "mr" / name))
    assert len(series) == 1
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder / "mr" / name), series[0]))
    image = reader.Execute()
    read = Grid.from_lps(SHAPE, image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    assert read.matches(grid, 1e-4)
    expected = CODES[name][3] * MAPS[name]
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), expected, atol=2e-4 * window_width(name, folder))


@pytest.mark.parametrize("name", MAPS)
def test_an_mr_series_is_read_back_by_pydicom_and_by_ourselves(exported, name: str) -> None:
    grid, _, folder = exported
    expected, tolerance = CODES[name][3] * MAPS[name], 2e-4 * window_width(name, folder)
    images = series_of(folder / "mr" / name)
    values = np.array([float(image.RescaleSlope) * image.pixel_array for image in images])
    np.testing.assert_allclose(values, expected, atol=tolerance)
    assert (values[MAPS[name] == 0] == 0).all()
    for z, image in enumerate(images):
        first = grid.ijk_to_ras @ [0, 0, z, 1]
        np.testing.assert_allclose(np.array(image.ImagePositionPatient, float), first[:3] * [-1, -1, 1], atol=1e-5)
    recording = open_recording(folder / "mr" / name, no_progress)
    assert recording.grid.matches(grid, 1e-4)
    np.testing.assert_allclose(recording.load(no_progress)[0], expected, atol=tolerance)


@pytest.mark.parametrize("name", MAPS)
def test_a_parametric_map_is_read_back_to_the_last_bit(exported, name: str) -> None:
    """SimpleITK has no reader for floating-point pixels."""
    grid, _, folder = exported
    image = pydicom.dcmread(folder / "parametric-map" / f"{name}.dcm")
    shared = image.SharedFunctionalGroupsSequence[0]
    rows, columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    expected = MAPS[name] * np.float32(CODES[name][3])
    assert image.pixel_array.dtype == np.float32
    found = set()
    for frame, item in zip(image.pixel_array, image.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        index = np.linalg.inv(grid.ijk_to_ras) @ [*(position * [-1, -1, 1]), 1]
        np.testing.assert_allclose(index[:2], 0, atol=1e-5)
        z = round(index[2])
        assert index[2] == pytest.approx(z, abs=1e-5)
        np.testing.assert_array_equal(frame, expected[z])
        last = position + rows * (SHAPE[1] - 1) * cosines[3:] + columns * (SHAPE[2] - 1) * cosines[:3]
        corner = grid.ijk_to_ras @ [SHAPE[2] - 1, SHAPE[1] - 1, z, 1]
        np.testing.assert_allclose(last, corner[:3] * [-1, -1, 1], atol=1e-4)
        found.add(z)
    assert found == set(range(SHAPE[0]))


@pytest.mark.parametrize("name", MAPS)
def test_what_is_measured_is_said_in_the_codes_of_the_standard(exported, name: str) -> None:
    _, _, folder = exported
    code, meaning, unit, _ = CODES[name]
    parametric_map = pydicom.dcmread(folder / "parametric-map" / f"{name}.dcm").SharedFunctionalGroupsSequence[0]
    image = series_of(folder / "mr" / name)[0]
    for mapping in (parametric_map.RealWorldValueMappingSequence[0], image.RealWorldValueMappingSequence[0]):
        units = mapping.MeasurementUnitsCodeSequence[0]
        assert (units.CodeValue, units.CodingSchemeDesignator) == (unit, "UCUM")
        definition = {
            item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0]
            for item in mapping.QuantityDefinitionSequence
        }
        quantity = definition["246205007"]
        assert (quantity.CodeValue, quantity.CodingSchemeDesignator) == (code, SCHEMES.get(name, "DCM"))
        assert quantity.CodeMeaning == meaning
        # Only the uncertainty is a statistic of what it is named after.
        statistic = definition.get("121401")
        assert (statistic is not None and statistic.CodeValue == "386136009") == ("uncertainty" in name)
    assert image.RealWorldValueMappingSequence[0].RealWorldValueSlope == float(image.RescaleSlope)


def test_objects_belong_to_patient_study_and_frame_of_the_source(exported) -> None:
    _, source, folder = exported
    original = pydicom.dcmread(next(source.iterdir()))
    everything = [pydicom.dcmread(file) for file in folder.rglob("*.dcm")]
    assert len(everything) == len(MAPS) * (1 + 1 + SHAPE[0] + 1)
    for image in everything:
        for keyword, value in PATIENT.items():
            assert str(image[keyword].value) == value
        assert image.StudyInstanceUID == original.StudyInstanceUID
        assert image.SeriesInstanceUID != original.SeriesInstanceUID
        if image.Modality != "PR":
            assert image.FrameOfReferenceUID == original.FrameOfReferenceUID
            assert image.Modality == "MR"
            assert image.ImageType[0] == "DERIVED"
        assert image.Manufacturer == "StUNetPerfusion"
        assert not {"InstitutionName", "StationName", "OperatorsName"} & {element.keyword for element in image}
    assert len({image.SOPInstanceUID for image in everything}) == len(everything)
    # Of every map: the object, the MR series, and the colors of each.
    assert len({image.SeriesInstanceUID for image in everything}) == 4 * len(MAPS)
    numbers = {int(image.SeriesNumber) for image in everything}
    assert numbers == set(range(701, 701 + 4 * len(MAPS)))
    image = series_of(folder / "mr" / "cbv")[0]
    assert (image.EchoTime, image.RepetitionTime) == (30, 1500)
    assert (image.ScanningSequence, image.PatientPosition) == ("EP", "HFS")


def test_every_slice_refers_to_its_own_images_of_the_source(exported) -> None:
    _, source, folder = exported
    by_place: dict[tuple[float, ...], set[str]] = {}
    for file in source.iterdir():
        original = pydicom.dcmread(file, stop_before_pixels=True)
        place = tuple(np.round(np.array(original.ImagePositionPatient, float), 3))
        by_place.setdefault(place, set()).add(original.SOPInstanceUID)
    assert {len(images) for images in by_place.values()} == {FRAMES}

    def check(item: pydicom.Dataset, position: object) -> None:
        references = {reference.ReferencedSOPInstanceUID for reference in item.SourceImageSequence}
        assert references == by_place[tuple(np.round(np.array(position, float), 3))]

    for image in series_of(folder / "mr" / "mtt"):
        check(image, image.ImagePositionPatient)
    parametric_map = pydicom.dcmread(folder / "parametric-map" / "mtt.dcm")
    for frame in parametric_map.PerFrameFunctionalGroupsSequence:
        check(frame.DerivationImageSequence[0], frame.PlanePositionSequence[0].ImagePositionPatient)
    assert len(parametric_map.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == FRAMES * SHAPE[0]


def test_model_dose_and_use_are_described(exported) -> None:
    _, _, folder = exported
    parametric_map = pydicom.dcmread(folder / "parametric-map" / "cbv.dcm")
    image = series_of(folder / "mr" / "cbv")[0]
    derivation = parametric_map.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    for text in (derivation.DerivationDescription, image.DerivationDescription):
        for words in ("stU-Net", "stunet.safetensors", ORIGIN.checkpoint_sha256, "25 %", "noise-matched"):
            assert words in text
        assert text.endswith("Research use only: not for diagnosis.")
        assert "CAPLEX Q.PH1.001.[b]" in text
    assert parametric_map.ContentDescription == "CBV by stU-Net, 25 % of the dose; research use only"
    assert parametric_map.ContentQualification == "RESEARCH"
    assert image.SeriesDescription == "CBV [ml/100ml] stU-Net, 25 % of the dose"
    assert image.DerivationCodeSequence[0].CodeValue == "129104"


def test_colors_are_those_of_the_color_table_in_the_window_of_the_images(exported) -> None:
    _, _, folder = exported
    images = series_of(folder / "mr" / "cbv")
    state = pydicom.dcmread(folder / "mr" / "cbv_colors.dcm")
    table = np.array(
        [
            np.frombuffer(state[f"{channel}PaletteColorLookupTableData"].value, "<u2")
            for channel in ("Red", "Green", "Blue")
        ]
    )
    np.testing.assert_allclose(table.T / 65535, perfusion_colors(), atol=1e-5)
    (series,) = state.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == images[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedImageSequence} == {
        image.SOPInstanceUID for image in images
    }
    assert state.SoftcopyVOILUTSequence[0].WindowWidth == images[0].WindowWidth
    assert state.RescaleSlope == images[0].RescaleSlope


def test_validator_finds_no_error(exported) -> None:
    """Of the slices of a series, which differ in numbers only, the first and the last are looked at."""
    _, _, folder = exported
    for file in sorted(folder.rglob("*.dcm")):
        if not file.name.startswith("IM") or file.name in ("IM0001.dcm", f"IM{SHAPE[0]:04d}.dcm"):
            assert validator_errors(file) == [], file.relative_to(folder)


def test_maps_without_dicom_become_a_study_of_nobody(tmp_path: Path) -> None:
    grid = grid_named("oblique")
    for name, source in (("a", None), ("b", anonymous_source("phantom 1"))):
        export_maps({"cbv": MAPS["cbv"]}, grid, source, MapOrigin(), tmp_path / name)
    first, second = ([pydicom.dcmread(file) for file in (tmp_path / name).rglob("*.dcm")] for name in "ab")
    for objects, patient_id in ((first, ""), (second, "phantom 1")):
        assert len({image.StudyInstanceUID for image in objects}) == 1
        for image in objects:
            assert image.PatientID == patient_id
            assert not any(image[keyword].value for keyword in ("PatientName", "PatientBirthDate", "StudyDate"))
    assert first[0].StudyInstanceUID != second[0].StudyInstanceUID


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 100", "Müller^Jörg"), ("ISO_IR 192", "Ωmega^Ñandú"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎")],
)
def test_names_keep_their_letters(tmp_path: Path, character_set, name: str) -> None:
    source = write_source(tmp_path / "dsc", grid_named("axial"), SpecificCharacterSet=character_set, PatientName=name)
    export_maps({"mtt": MAPS["mtt"]}, grid_named("axial"), read_source(source), ORIGIN, tmp_path / "dicom")
    for file in (tmp_path / "dicom").rglob("*.dcm"):
        assert str(pydicom.dcmread(file).PatientName) == name


def test_absolute_maps_have_other_codes_and_keep_their_values(tmp_path: Path) -> None:
    maps = {"cbv": 50 * MAPS["cbv"], "cbf": 5000 * MAPS["cbf"]}
    export_maps(maps, grid_named("axial"), None, ORIGIN, tmp_path / "dicom", "parametric-map", absolute=True)
    for name, code, unit in (("cbv", "126391", "ml/(100.g)"), ("cbf", "126390", "ml/(100.g)/min")):
        image = pydicom.dcmread(tmp_path / "dicom" / "parametric-map" / f"{name}.dcm")
        mapping = image.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
        assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == code
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
        assert image.pixel_array.max() == maps[name].max()
    assert not (tmp_path / "dicom" / "mr").exists()


def test_outliers_cost_the_brain_no_precision_and_are_told(tmp_path: Path) -> None:
    """Air next to a division by nearly nothing: a thousand times the blood of any brain."""
    wild = MAPS["cbv"].copy()
    wild[2, 3, 4], wild[2, 3, 5] = 400.0, -400.0
    export_maps({"cbv": wild}, grid_named("axial"), None, ORIGIN, tmp_path / "dicom")
    images = series_of(tmp_path / "dicom" / "mr" / "cbv")
    values = np.array([float(image.RescaleSlope) * image.pixel_array for image in images])
    width = float(images[0].WindowWidth)
    assert width == pytest.approx(11, abs=0.5)
    tame = np.abs(wild) < 1
    np.testing.assert_allclose(values[tame], 100 * wild[tame], atol=1.1e-4 * width)
    assert values[2, 3, 4] == -values[2, 3, 5] == pytest.approx(6.5 * width, rel=1e-3)
    assert "2 voxels beyond +-" in images[0].DerivationDescription
    # Floats hold what integers cannot.
    assert pydicom.dcmread(tmp_path / "dicom" / "parametric-map" / "cbv.dcm").pixel_array.max() == 40000


def test_descriptions_fit_into_dicom() -> None:
    long = replace(ORIGIN, method="a network of a very long name " * 4, checkpoint="c" * 2000)
    quantity = quantity_of("cbv_uncertainty")
    assert len(long.series_description(quantity)) <= 64
    assert len(long.content_description(quantity)) <= 64
    assert len(long.derivation_description(quantity)) == 1024
    assert long.derivation_description(quantity).endswith(" Research use only: not for diagnosis.")
    assert all(len(quantity_of(name).label) <= 16 and len(quantity_of(name).meaning) <= 64 for name in CODES)
    assert not set(PLACE) & set(PATIENT)


def test_codes_of_our_own_fit_the_fields_of_dicom():
    """A short string (SH) has 16 letters, a long one (LO) 64; a validator says so only where there is one."""
    from pydicom.sr.coding import Code

    own = [each for each in vars(quantities).values() if isinstance(each, Code)]
    assert own
    for code in own:
        assert len(code.scheme_designator) <= 16
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64
