"""The evaluation from cases to report: numbers against direct computations, resuming, and what is refused."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from science.heads import ellipsoid_head
from science.small_cases import SHAPE, small_checkpoint, small_series, write_small_case
from science.synthetic import head_of, make_series
from stunet_perfusion.cases import read_cases, write_cases
from stunet_perfusion.cli import main
from stunet_perfusion.dose.simulate import simulate_dose
from stunet_perfusion.evaluation import phantom_subjects as module
from stunet_perfusion.evaluation import subject_files
from stunet_perfusion.evaluation.classical import (
    CLOSED_FORM,
    UNDONE,
    VERBENA,
    classical_methods,
)
from stunet_perfusion.evaluation.learned import network_methods
from stunet_perfusion.evaluation.methods import Method, MethodMap
from stunet_perfusion.evaluation.paper_table import PAPER_TABLE
from stunet_perfusion.evaluation.phantom_subjects import graded_phantom, open_phantom, phantom_subjects
from stunet_perfusion.evaluation.ridge_training import fit_ridge
from stunet_perfusion.evaluation.run import heads_in_training
from stunet_perfusion.evaluation.scores import score_subject
from stunet_perfusion.evaluation.subjects import OpenSubject, Subject, subjects_of_cases
from stunet_perfusion.evaluation.summary import cell, grading, rows_of
from stunet_perfusion.kinetics.closed_form import closed_form, smoothed
from stunet_perfusion.metrics import compare_maps
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError


def known_subject(noise: float = 0.0) -> Subject:
    """A head whose CBV falls from 1 to 0.5 from its left to its right, seen at every dose."""
    head = head_of(SHAPE)
    side = np.broadcast_to(np.linspace(1, 0.5, SHAPE[2]), SHAPE)
    tumor, nawm = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    tumor[:, 10:16, 10:16], nawm[:, 24:30, 18:24] = True, True

    def scan(dose: float):
        return make_series(frames=50, shape=SHAPE, peak=40 * dose, noise=noise, seed=round(100 * dose))

    return Subject(
        "known",
        "cases",
        lambda: OpenSubject(scan, (1.0, 0.5, 0.25), head, head, tumor & head, None, nawm & head, None, side),
        {"noise": noise},
        "high",
    )


def row(rows, **wanted):
    (found,) = rows_of(rows, **wanted)
    return found


def test_without_noise_every_closed_form_is_the_truth_at_every_dose():
    rows = score_subject(known_subject(), classical_methods(())).rows
    for dose in (1.0, 0.5, 0.25):
        for name in (VERBENA, CLOSED_FORM, "first-pass"):
            found = row(rows, table="truth", dose=dose, method=name)
            assert found["l2"] == pytest.approx(0, abs=1e-6)
            assert found["ssim"] == pytest.approx(1, abs=1e-4)
            assert found["concordance"] == pytest.approx(1, abs=1e-5)
            assert found["edge_sharpness"] == pytest.approx(1, abs=1e-3)
            assert found["nrcbv_error"] == pytest.approx(0, abs=1e-3)
            assert found["hot_spot_error"] == pytest.approx(0, abs=1e-3)


def test_scores_of_the_papers_table_are_those_of_compare_maps():
    subject = known_subject(noise=4.0)
    rows = score_subject(subject, classical_methods(()), ["paper"]).rows
    opened = subject.open()
    full = prepare(opened.scan(1.0), mask=opened.brain)
    half = replace(full, series=simulate_dose(full.series, full.bolus.arrival, 0.5, "equation1"))
    expected = compare_maps(closed_form(half), closed_form(full, 1), opened.mask, opened.tumor)
    found = row(rows, dose=0.5, method=CLOSED_FORM)
    assert found["l2"] == pytest.approx(expected["l2"])
    assert found["tumor_l1"] == pytest.approx(expected["tumor_l1"])
    assert found["ssim"] == pytest.approx(expected["ssim"])


def test_verbena_is_not_compared_with_itself_and_the_first_pass_is_not_in_the_papers_table():
    rows = score_subject(known_subject(noise=2.0), classical_methods((4.0,)), ["paper"]).rows
    assert not rows_of(rows, dose=1.0, method=VERBENA)
    assert {r["method"] for r in rows} == {VERBENA, UNDONE, CLOSED_FORM}


def test_equation_1_undone_is_verbenas_map_at_full_dose():
    """Where no signal is cut at 0, and as far as noise tells the dose."""
    rows = score_subject(known_subject(noise=4.0), classical_methods(()), ["paper"]).rows
    assert row(rows, dose=1.0, method=UNDONE)["l2"] < 1e-4
    for dose in (0.5, 0.25):
        l2 = {name: row(rows, dose=dose, method=name)["l2"] for name in (UNDONE, VERBENA)}
        assert l2[UNDONE] < 0.1 * l2[VERBENA]


def test_smoothing_keeps_what_is_flat_up_to_the_rim_of_the_brain():
    opened = known_subject().open()
    prepared = prepare(opened.scan(1.0), mask=opened.brain)
    flat = np.where(prepared.brain, 3.0, 99.0)
    result = smoothed(flat, prepared, 8.0)
    np.testing.assert_allclose(result[prepared.brain], 3.0, rtol=1e-6)
    noise = np.random.default_rng(0).normal(size=SHAPE)
    assert smoothed(noise, prepared, 8.0)[prepared.brain].std() < 0.4 * noise[prepared.brain].std()


def test_a_method_that_fails_is_told_and_stops_no_other():
    def refuse(*_):
        raise InputError("prediction", "does not rise", "use another checkpoint")

    broken = Method("broken", "broken", "network", refuse)
    found = score_subject(known_subject(2.0), [broken, *classical_methods(())], ["truth"])
    assert {failure["method"] for failure in found.failures} == {"broken"}
    assert len(found.failures) == 3
    assert rows_of(found.rows, method=CLOSED_FORM)


def test_uncertainty_as_large_as_the_error_covers_what_it_says():
    subject = known_subject()
    truth = subject.open().truth

    def noisy(prepared, *_):
        return MethodMap(truth + np.random.default_rng(0).normal(0, 0.05, SHAPE), np.full(SHAPE, 0.05))

    rows = score_subject(subject, [Method("sure", "sure", "network", noisy)], ["truth"]).rows
    assert row(rows, dose=1.0)["coverage_95"] == pytest.approx(0.95, abs=0.02)
    assert row(rows, dose=1.0)["coverage_50"] == pytest.approx(0.50, abs=0.04)


@pytest.fixture(scope="module")
def case_table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    cases = [write_small_case(folder, name, seed) for seed, name in enumerate(("a", "b", "c", "d"))]
    cases = [replace(case, part="train" if case.name in "cd" else "test", facts={"grade": "high"}) for case in cases]
    write_cases(folder / "cases.csv", cases)
    return folder / "cases.csv"


@pytest.fixture(scope="module")
def evaluated(case_table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    checkpoint = small_checkpoint(folder / "tiny.safetensors")
    command = ["evaluate", "--cases", str(case_table), "--checkpoint", str(checkpoint), "--stride", "8"]
    command += ["--device", "cpu", "--pictures", "1", "--json", "--output", str(folder / "out")]
    assert main(command) == 0
    return folder / "out", command


def test_every_number_is_in_the_table_of_scores(evaluated):
    folder, _ = evaluated
    with (folder / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["subject"] for r in rows} == {"a", "b"}, "training cases are not evaluated"
    assert {(r["method"], r["dose"]) for r in rows} == {
        (name, dose) for name in (VERBENA, UNDONE, CLOSED_FORM, "ridge", "tiny") for dose in ("1", "0.5", "0.25")
    } - {(VERBENA, "1")}
    assert all(float(r["l2"]) >= 0 for r in rows)


def test_the_report_holds_the_papers_figures_and_says_whose_they_are(evaluated):
    text = (evaluated[0] / "report.md").read_text(encoding="utf-8")
    assert "*8.38 (3.52)*" in text
    assert "another data set" in text
    assert "Research use only" in text
    for name in text.split("](")[1:]:
        assert (evaluated[0] / name.split(")")[0]).is_file()
    assert "maps_cases_a_paper.png" in text


def test_an_evaluation_goes_on_where_it_was(evaluated, monkeypatch):
    folder, command = evaluated
    before = (folder / "scores.csv").read_bytes()

    def computed_again(*_, **__):
        raise AssertionError("a subject was scored again")

    monkeypatch.setattr(subject_files, "score_subject", computed_again)
    assert main([*command, "--ridge", str(folder / "ridge.json")]) == 0
    assert (folder / "scores.csv").read_bytes() == before
    with pytest.raises(AssertionError, match="scored again"):
        main([*command, "--ridge", str(folder / "ridge.json"), "--stride", "16"])


def test_another_checkpoint_of_the_same_name_is_another_evaluation(tmp_path):
    subject = known_subject()
    keys = set()
    for seed in (0, 1):
        path = small_checkpoint(tmp_path / str(seed) / "net.safetensors", seed)
        keys.add(subject_files.fingerprint(subject, network_methods([path], 8, "cpu"), ["paper"]))
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        ([], "nobody to evaluate"),
        (["--study", "dose"], "is missing"),
        (["--anatomy", "drawn", "--smoothing", "wide"], "are no widths"),
        (["--anatomy", "nowhere"], "is no file"),
        (["--anatomy", "drawn", "--ridge-anatomy", "drawn"], "both fitted to and evaluated"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_one_line(arguments, fact, tmp_path, capsys):
    assert main(["evaluate", "--output", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert fact in error
    assert not (tmp_path / "out" / "report.md").exists()


def test_cases_of_another_part_are_not_tested(case_table):
    cases = read_cases(case_table)
    assert [subject.name for subject in subjects_of_cases(cases, "test")] == ["a", "b"]
    assert {subject.grade for subject in subjects_of_cases(cases, "test")} == {"high"}


def test_ridge_of_training_cases_has_one_fit_a_dose(case_table):
    fits = fit_ridge(subjects_of_cases([c for c in read_cases(case_table) if c.part == "train"], "train"))
    assert {(fit.table, fit.dose) for fit in fits} == {("paper", 1.0), ("paper", 0.5), ("paper", 0.25)}
    assert {fit.subjects for fit in fits} == {2}


@pytest.fixture
def ellipsoids(monkeypatch):
    """Phantoms of a head that is quickly drawn, scanned coarsely."""
    monkeypatch.setattr(module, "anatomy_by_name", lambda name, seed=0: ellipsoid_head(2.5))
    for family, (person, scanner) in module._DRAWN_FROM.items():
        coarse = lambda generator, scanner=scanner: replace(scanner(generator), matrix=64)  # noqa: E731
        monkeypatch.setitem(module._DRAWN_FROM, family, (person, coarse))


@pytest.mark.parametrize("family", ["training", "second"])
@pytest.mark.usefixtures("ellipsoids")
def test_phantoms_alternate_in_grade_and_come_out_the_same_every_time(family):
    people = phantom_subjects(["drawn"], family, 2, slice_step=6)
    assert [person.grade for person in people] == ["low", "high"]
    one, again = people[1].open(), people[1].open()
    np.testing.assert_array_equal(one.truth, again.truth)
    np.testing.assert_array_equal(one.scan(0.5).signal, again.scan(0.5).signal)
    assert one.tumor[one.living].all()
    assert one.living.sum() >= 2


@pytest.mark.usefixtures("ellipsoids")
def test_closed_form_comes_nearer_to_a_phantoms_truth_with_the_dose():
    phantom = graded_phantom("drawn", "random", "training", True, (0, 7), 5)
    subject = Subject("one", "training", lambda: open_phantom(phantom), {}, "high")
    rows = score_subject(subject, classical_methods((4.0,)), ["truth"]).rows
    errors = [row(rows, dose=dose, method=CLOSED_FORM)["l2"] for dose in (1.0, 0.5, 0.25)]
    assert errors == sorted(errors)
    assert errors[2] > 2 * errors[0]
    first = row(rows, dose=1.0, method=VERBENA)["l2"]
    assert first > errors[0], "the first frame alone is a noisier baseline than the mean"
    for dose in (1.0, 0.25):
        sharp, soft = (row(rows, dose=dose, method=name)["edge_sharpness"] for name in (CLOSED_FORM, "smoothed-4mm"))
        assert soft < 0.9 * sharp, "smoothing takes from the edges of the same map, whatever its noise adds to them"


def test_grading_and_cells_of_rows():
    rows = [{"grade": "low", "nrcbv": 1.0}, {"grade": "high", "nrcbv": 3.0}, {"grade": "high"}]
    assert grading(rows) == 1.0
    found = cell([{"l2": 1.0}, {"l2": 3.0}, {}], "l2")
    assert (found.mean, found.sd, found.count) == pytest.approx((2.0, np.sqrt(2), 2))
    assert np.isnan(cell([], "l2").mean)


def test_the_papers_table_is_complete():
    """Fifteen cells for stU-Net and Hess, ten for Verbena; SSIM is a share."""
    counts = {name: sum(len(scores) for scores in doses.values()) for name, doses in PAPER_TABLE.items()}
    assert counts == {"Verbena": 10, "Hess": 15, "stU-Net": 15}
    assert PAPER_TABLE["stU-Net"][0.25]["tumor_l2"] == (0.0626, 0.0748)
    assert PAPER_TABLE["Hess"][0.5]["tumor_l1"] == (0.2731, 0.2247)


def test_a_head_that_was_trained_on_is_named():
    subject = Subject("001", "training", lambda: None, {}, "high", "head_07")
    assert not heads_in_training([subject], {"net": {"data": ["head_01"]}})
    (warning,) = heads_in_training([subject], {"net": {"data": ["head_07.nii.gz"]}})
    assert "net" in warning
    assert "head_07" in warning


def test_scores_file_holds_no_nan(tmp_path):
    series = small_series()
    flat = Subject("flat", "cases", lambda: OpenSubject(lambda dose: series, brain=head_of(SHAPE)), {}, "")
    subject_files.scores_of(flat, classical_methods(()), ["paper"], tmp_path, False)
    document = json.loads((tmp_path / "cases-flat.json").read_text(), parse_constant=pytest.fail)
    assert document["rows"]
