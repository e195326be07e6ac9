"""The ridge regression: planted weights, a plain least-squares twin, and its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from science.synthetic import head_of, make_series
from stunet_perfusion.evaluation import ridge
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError

SHAPE = (3, 30, 30)


def prepared_case(seed: int):
    """A head whose voxels have blood volumes of their own, with noise."""
    series = make_series(frames=70, shape=SHAPE, noise=4.0, seed=seed)
    amount = np.random.default_rng(seed).uniform(0.3, 1.0, SHAPE)
    signal = series.signal * np.exp(-0.5 * (1 - amount) * (np.arange(70) > 15)[:, None, None, None])
    return prepare(replace(series, signal=signal.astype(np.float32)), mask=head_of(SHAPE))


def design(prepared) -> np.ndarray:
    """(voxels, 1 + frames)"""
    brain = prepared.brain
    columns = [ridge.log_signal(prepared, z)[:, brain[z]] for z in range(SHAPE[0])]
    features = np.concatenate(columns, axis=1).T.astype(float)
    return np.hstack([np.ones((len(features), 1)), features])


def test_planted_weights_come_back():
    prepared = prepared_case(0)
    planted = np.random.default_rng(1).normal(size=ridge.FRAMES)
    target = np.zeros(SHAPE)
    target[prepared.brain] = design(prepared)[:, 1:] @ planted
    found = ridge.fit([ridge.moments(prepared, target, prepared.brain)], "truth", 1.0)
    scale = target[prepared.brain].std()
    predicted = ridge.apply(found, prepared)
    expected = np.clip((target - target[prepared.brain].mean()) / scale, -5, 5)
    np.testing.assert_allclose(predicted[prepared.brain], expected[prepared.brain], atol=0.02)


def test_the_fit_is_that_of_plain_regularized_least_squares():
    cases = [prepared_case(seed) for seed in range(3)]
    rng = np.random.default_rng(5)
    targets = [rng.normal(size=SHAPE) for _ in cases]
    subjects = [ridge.moments(c, t, c.brain) for c, t in zip(cases, targets, strict=True)]
    strength = 1e-3
    rows, values = [], []
    for case, target in zip(cases, targets, strict=True):
        y = target[case.brain]
        weight = 1 / np.sqrt(len(y) * len(cases))
        rows.append(design(case) * weight)
        values.append(np.clip((y - y.mean()) / y.std(), -5, 5) * weight)
    stacked, aim = np.vstack(rows), np.concatenate(values)
    penalty = np.sqrt(strength * (stacked[:, 1:] ** 2).sum() / ridge.FRAMES)
    ballast = np.hstack([np.zeros((ridge.FRAMES, 1)), penalty * np.eye(ridge.FRAMES)])
    twin = np.linalg.lstsq(np.vstack([stacked, ballast]), np.append(aim, np.zeros(ridge.FRAMES)), rcond=None)[0]
    np.testing.assert_allclose(ridge.solve(subjects, strength), twin, atol=1e-4)


def test_left_out_subjects_choose_a_strong_ridge_where_there_is_nothing_to_learn():
    rng = np.random.default_rng(9)
    subjects = [
        ridge.moments(case, rng.normal(size=SHAPE), case.brain) for case in (prepared_case(seed) for seed in range(4))
    ]
    assert ridge.fit(subjects, "truth", 1.0).strength >= 1e-2


def test_features_do_not_depend_on_the_unit_of_the_scanner():
    prepared = prepared_case(2)
    louder = replace(prepared, series=replace(prepared.series, signal=prepared.series.signal * np.float32(7)))
    np.testing.assert_allclose(ridge.log_signal(louder, 1), ridge.log_signal(prepared, 1), atol=1e-5)


def test_coefficients_survive_their_file_and_others_are_refused(tmp_path):
    fits = [ridge.RidgeFit("paper", 0.5, 0.25, tuple(np.linspace(-1, 1, ridge.FRAMES)), 1e-3, 4)]
    ridge.write_ridge(tmp_path / "ridge.json", fits, "4 cases")
    assert ridge.read_ridge(tmp_path / "ridge.json") == (fits, "4 cases")
    (tmp_path / "other.json").write_text('{"fits": [1]}')
    for name, fact in (("other.json", "holds no ridge regression"), ("none.json", "cannot be read")):
        with pytest.raises(InputError, match=fact):
            ridge.read_ridge(tmp_path / name)


def test_nobody_to_fit_to_is_said():
    with pytest.raises(InputError, match="nobody"):
        ridge.fit([], "truth", 1.0)


def test_a_dose_that_was_not_fitted_is_refused():
    method = ridge.ridge_method([ridge.RidgeFit("paper", 1.0, 0.0, (0.0,) * ridge.FRAMES, 0.1, 1)])
    assert method.tables == ("paper",)
    with pytest.raises(InputError, match="not fitted"):
        method.compute(prepared_case(0), "truth", 0.5)
