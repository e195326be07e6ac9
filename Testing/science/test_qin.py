"""From a download of QIN-BRAIN-DSC-MRI to cases, on a fake collection of phantoms in its layout."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from science.qin_collection import FakeCollection, finer, person, regions, repeated
from science.shared import shared_data
from science.synthetic import make_series, oblique_grid
from stunet_perfusion.cases import PARTS, read_cases
from stunet_perfusion.cli import main
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.qin.finding import find_sessions, kind_of
from stunet_perfusion.qin.reduction import reduce_grid, reduce_mask, reduce_series, reduction_factor
from stunet_perfusion.reading import read_map, read_series
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.subject_split import split_subjects


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("MaskTumor", "tumor"),
        ("Mask_Tumor", "tumor"),
        ("MASK TUMOUR", "tumor"),
        ("mask-tumor_2", "tumor"),
        ("MaskBrain", "mask"),
        ("Mask.Brain", "mask"),
        ("MaskNAWM", "nawm"),
        ("mask_nawm", "nawm"),
        ("Mask NACC", "nacc"),
        ("MaskAIF", "vessels"),
        ("Anatomic", "anatomic"),
        ("ANATOMIC_T1+C", "anatomic"),
        ("MaskSomething", "other"),
        ("Localizer", "other"),
        ("Tumor", "other"),
    ],
)
def test_series_are_known_by_their_names_however_they_are_spelled(description, kind):
    assert kind_of(description, images=24) == kind


@pytest.mark.parametrize(
    ("description", "sequence", "images", "kind"),
    [
        ("GRE-EPI", "", 2640, "dsc"),
        ("gre_epi perfusion", "", 100, "dsc"),
        ("Series 8", "EP GR", 100, "dsc"),
        ("Series 8", "GR", 2640, "dsc"),
        ("Series 8", "GR", 24, "other"),
        ("GRE-EPI", "EP GR", 8, "other"),
    ],
)
def test_the_dynamic_series_is_known_by_its_sequence_its_name_or_its_length(description, sequence, images, kind):
    assert kind_of(description, sequence, images) == kind


def test_the_real_names_are_known():
    with open(shared_data("data/qin_brain_dsc_series_list.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = Counter(kind_of(row["Series Description"], images=int(row["Number of Images"])) for row in rows)
    assert kinds == {"tumor": 16, "anatomic": 15, "mask": 1}


# The rule of reduction.


@pytest.mark.parametrize(
    ("rows", "columns", "acquired", "factor"),
    [
        (128, 128, None, 1),
        (256, 256, 128, 1),
        (512, 512, None, 2),
        (512, 512, 128, 4),
        (512, 512, 96, 4),
        (512, 512, 256, 2),
        (512, 512, 320, 2),
        (448, 448, None, 2),
        (448, 448, 96, 4),
        (320, 256, 128, 2),
        (1024, 1024, None, 4),
        (509, 509, 128, 1),
        (512, 512, 1, 8),
    ],
)
def test_by_how_much_a_matrix_is_reduced(rows, columns, acquired, factor):
    assert reduction_factor(rows, columns, acquired) == factor


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_a_reduced_grid_covers_the_same_space(factor, rows, columns, slices):
    grid = oblique_grid((slices, rows * factor, columns * factor), (0.5, 0.7, 5.0))
    reduced = reduce_grid(grid, factor)
    assert reduced.shape == (slices, rows, columns)
    for one in (0, 1):
        for other in (0, 1):
            corner = np.array([one * columns * factor - 0.5, other * rows * factor - 0.5, 0, 1])
            same = np.array([one * columns - 0.5, other * rows - 0.5, 0, 1])
            np.testing.assert_allclose(reduced.ijk_to_ras @ same, grid.ijk_to_ras @ corner, atol=1e-9)


def test_reducing_averages_blocks_and_takes_the_majority():
    series = make_series(shape=(2, 24, 20))
    reduced = reduce_series(series, 4)
    assert reduced.signal[7, 1, 3, 2] == pytest.approx(series.signal[7, 1, 12:16, 8:12].mean(), rel=1e-6)
    assert "20 x 24 was resampled, and is reduced to 5 x 6" in reduced.notes[-1]
    assert reduce_series(series, 1) is series
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2, 0] = True  # half of the first block
    mask[0, 2, 2] = True  # a quarter of the last
    np.testing.assert_array_equal(reduce_mask(mask, 2), [[[True, False], [False, False]]])


# The split.


@given(st.sets(st.text("abcdef0123456789", min_size=1, max_size=5), min_size=1, max_size=80), st.integers(0, 99))
def test_every_subject_is_in_one_part_in_the_ratio(subjects, seed):
    parts = split_subjects(subjects, seed)
    assert set(parts) == subjects
    counts = Counter(parts.values())
    for part, share in zip(PARTS, (25, 12, 12), strict=True):
        assert abs(counts[part] - len(subjects) * share / 49) < 1


def test_the_paper_s_49_subjects_and_another_seed():
    subjects = [f"QIN-BRAIN-DSC-01-{number:02d}" for number in range(1, 50)]
    parts = split_subjects(subjects, seed=3)
    assert Counter(parts.values()) == {"train": 25, "validation": 12, "test": 12}
    assert split_subjects(reversed(subjects), seed=3) == parts, "order does not matter"
    assert split_subjects(subjects, seed=4) != parts


@given(st.integers(0, 48), st.integers(0, 20))
def test_a_missing_subject_moves_hardly_anybody(missing, seed):
    subjects = [f"subject-{number}" for number in range(49)]
    whole = split_subjects(subjects, seed)
    without = split_subjects(subjects[:missing] + subjects[missing + 1 :], seed)
    assert sum(without[subject] != whole[subject] for subject in without) <= 2


# The collection.


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    """Six subjects, of whom each is odd in a way of its own, and files that are nobody's."""
    root = tmp_path_factory.mktemp("download")
    fake = FakeCollection(root)
    (root / "LICENSE").write_text("CC BY 3.0")

    def write(subject, date, study, masks, *, study_of_masks=None, date_of_masks=None, factor=1, dsc=True):
        phantom = person(int(subject[-2:]))
        series = phantom.series()
        grid = finer(phantom.grid, factor)
        if dsc:
            resampled = type(series)(repeated(series.signal, factor), series.times, grid, series.echo_time)
            fake.write_dsc(subject, date, study, resampled, acquired=64 if factor > 1 else 0)
        own_study, own_date = study_of_masks or study, date_of_masks or date
        for number, (description, region) in enumerate(masks.items()):
            # Masks were drawn on the anatomic image, which is finer than the series.
            mask = repeated(regions(phantom)[region], max(factor, 2))
            of_mask = finer(phantom.grid, max(factor, 2))
            fake.write_volume(subject, own_date, own_study, 5300 + number, description, mask, of_mask)
        anatomic = repeated(np.rint(series.signal[0]), 2)
        fake.write_volume(subject, date, study, 12, "Anatomic", anatomic, finer(phantom.grid, 2))

    everything = {"MaskTumor": "tumor", "MaskBrain": "mask", "MaskNAWM": "nawm", "MaskNACC": "nacc"}
    write("QIN-BRAIN-DSC-01-01", "20011008", "MR SPECTROSCOPY-FH", everything)
    spelled = {"Mask_Tumor": "tumor", "MASK BRAIN": "mask", "mask-nawm": "nawm", "Mask.NACC": "nacc"}
    # As subject 18 of the real collection: the masks are in another study of the same date.
    write("QIN-BRAIN-DSC-01-18", "20041110", "MR BRAIN WO W CONT SS", spelled, study_of_masks="MR RCBV SEQUENCE FH")
    write("QIN-BRAIN-DSC-01-05", "20020429", "MR RCBV SEQUENCE FH", everything, factor=8)
    write("QIN-BRAIN-DSC-01-07", "20020821", "BRAINROUTINE", {"MaskBrain": "mask"})
    write("QIN-BRAIN-DSC-01-48", "20010411", "HEADBrain Protocols", everything, dsc=False)
    write("QIN-BRAIN-DSC-01-50", "19990930", "MR BRAIN WOW CONT SS", everything, date_of_masks="19991001")
    return root


@pytest.fixture(scope="module")
def converted(collection, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("cases")
    assert main(["qin", str(collection), "--output", str(output), "--json"]) == 0
    return output


WITH_CASE = [f"QIN-BRAIN-DSC-01-{number}" for number in ("01", "05", "07", "18", "50")]


def test_every_subject_with_a_dsc_series_is_a_case_of_one_part(converted):
    cases = read_cases(converted / "cases.csv")
    assert [case.name for case in cases] == [case.subject for case in cases] == WITH_CASE
    # 5 subjects in the ratio 25 : 12 : 12 are 2.55, 1.22, 1.22.
    assert Counter(case.part for case in cases) == {"train": 3, "validation": 1, "test": 1}
    assert {case.subject: case.part for case in cases} == split_subjects(WITH_CASE, 0)


@pytest.mark.parametrize("name", WITH_CASE)
def test_series_and_masks_are_those_of_the_phantom(converted, name):
    """The masks of all and the series of one were on finer grids."""
    phantom = person(int(name[-2:]))
    case = next(case for case in read_cases(converted / "cases.csv") if case.name == name)
    series = read_series(case.series)
    assert series.grid.matches(phantom.grid, 1e-3)
    np.testing.assert_array_equal(series.signal, phantom.series().signal)
    assert series.frame_interval == pytest.approx(1.25)
    assert series.echo_time == pytest.approx(0.03)
    expected = {"mask"} if name.endswith("07") else {"mask", "tumor", "nawm", "nacc"}
    assert set(case.files) == {*expected, "anatomic"}
    for region in expected:
        mask, grid = read_map(case.files[region])
        assert grid.matches(series.grid)
        np.testing.assert_array_equal(mask > 0.5, regions(phantom)[region])
    brain = read_map(case.files["mask"])[0] > 0.5
    assert prepare(series, mask=brain).bolus.peak > 0


def test_what_is_missing_is_named(converted, collection, capsys):
    document = json.loads((converted / "qin.json").read_text())
    rows = {row["case"][-2:]: row for row in document["sessions"]}
    assert {name: row["missing"] for name, row in rows.items()} == {
        "01": [],
        "05": [],
        "07": ["tumor", "nawm", "nacc"],
        "18": [],
        "48": ["dsc"],
        "50": [],
    }
    assert rows["48"]["part"] is None
    assert rows["48"]["error"] == "QIN-BRAIN-DSC-01-48: has no DSC series; download its GRE-EPI series too"
    assert "512 x 512 was resampled, and is reduced to 64 x 64" in " ".join(rows["05"]["notes"])
    assert "MaskTumor is of another date than the DSC series." in rows["50"]["notes"]
    assert document["subjects"] == {"train": 3, "validation": 1, "test": 1}


def test_the_subjects_of_a_session_are_found_by_headers_not_by_folders(collection, tmp_path):
    """The same files in folders with other names."""
    for number, folder in enumerate(sorted(path for path in collection.rglob("*") if path.is_dir())):
        if any(file.is_file() for file in folder.iterdir()):
            (tmp_path / f"{number}").symlink_to(folder, target_is_directory=True)
    with pytest.raises(InputError, match="holds no MR series"):
        find_sessions(tmp_path)  # links to folders are not followed
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for link in tmp_path.iterdir():
        if link.is_symlink():
            (renamed / link.name).mkdir()
            for file in link.iterdir():
                (renamed / link.name / file.name).hardlink_to(file)
    found, expected = find_sessions(renamed), find_sessions(collection)
    assert [(s.subject, s.date, s.missing) for s in found] == [(s.subject, s.date, s.missing) for s in expected]


def test_a_split_of_ones_own(collection, tmp_path, capsys):
    assert main(["qin", str(collection), "--output", str(tmp_path), "--split", "1,0,4", "--seed", "9"]) == 0
    assert Counter(case.part for case in read_cases(tmp_path / "cases.csv")) == {"train": 1, "test": 4}
    text = capsys.readouterr().err
    assert "left out" in text
    assert "Wrote 5 cases to" in text


@pytest.mark.parametrize("split", ["25,12", "a,b,c", "0,0,0", "25,12,-12"])
def test_a_wrong_split_is_refused(collection, tmp_path, capsys, split):
    assert main(["qin", str(collection), "--output", str(tmp_path / "out"), "--split", split]) == 2
    assert capsys.readouterr().err.startswith(f"error: --split: '{split}' is not three numbers of subjects")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_download_is_refused(tmp_path, capsys):
    for path, sentence in ((tmp_path, "holds no MR series"), (tmp_path / "no", "is no folder")):
        assert main(["qin", str(path), "--output", str(tmp_path / "out")]) == 2
        assert f"error: {path}: {sentence}" in capsys.readouterr().err


def test_series_that_lie_together_in_one_folder_are_refused(tmp_path):
    fake = FakeCollection(tmp_path)
    series = make_series(frames=16, shape=(2, 8, 6))
    for number in (1, 2):
        folder = fake.write_series("S", "20010101", "study", number, "GRE-EPI", series)
        for file in folder.iterdir():
            file.rename(tmp_path / f"{number}{file.name}")
    with pytest.raises(InputError, match=r"holds files of several series; .*with a folder for each series"):
        find_sessions(tmp_path)
