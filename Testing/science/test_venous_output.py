"""A vein that corrects the artery's partial volume, and what is said of an arterial input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from science.synthetic import make_series
from stunet_perfusion.kinetics.aif import ArterialInput, aif_from_vessels, automatic_aif
from stunet_perfusion.kinetics.aif_quality import EXPECTED_WHITE_MATTER, judge_aif
from stunet_perfusion.kinetics.reference.case import ReferenceSettings, reference_case
from stunet_perfusion.kinetics.venous_output import BLOOD_RELAXIVITY, find_venous_output
from stunet_perfusion.phantom import Phantom, drawn_anatomy, make_phantom
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.phantom.sample import PHYSIOLOGY, PROTOCOL, SEED
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.support.errors import InputError


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """The sample's head without a tumor, every third slice."""
    return make_phantom(
        drawn_anatomy(SEED), physiology=PHYSIOLOGY, protocol=PROTOCOL, seed=SEED, slices=range(1, 16, 3)
    )


@pytest.fixture(scope="module")
def prepared(phantom: Phantom) -> PreparedSeries:
    return prepare(phantom.series(), mask=phantom.mask)


def test_the_vein_is_found_and_brings_blood_volume_near_the_truth(phantom: Phantom, prepared: PreparedSeries) -> None:
    aif = automatic_aif(prepared)
    vein = find_venous_output(prepared, aif, prepared.bolus.arrival)
    assert phantom.fractions[Tissue.VEIN][vein.voxels].mean() > 0.6
    assert 0 < vein.factor < 1
    settings = ReferenceSettings(absolute=True)
    case = reference_case(prepared, settings, workers=1)
    inside = phantom.nawm & prepared.brain
    # ml/100 g of a fraction: 100 k_H / rho.
    truth = 100 * 0.55 / 0.75 / 1.04 * phantom.cbv[inside].mean()
    assert case.maps["cbv"][inside].mean() == pytest.approx(truth, rel=0.35)
    relative = reference_case(prepared, ReferenceSettings(), workers=1)
    expected = relative.maps["cbv"] * vein.factor * BLOOD_RELAXIVITY * 100 * 0.55 / 0.75 / 1.04
    np.testing.assert_allclose(case.maps["cbv"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(case.maps["mtt"], relative.maps["mtt"], rtol=1e-5)
    assert case.notes[-1].startswith("Absolute values: the artery's partial volume was corrected by a vein (mean of 12")


def test_without_a_vein_nothing_is_called_absolute() -> None:
    prepared = prepare(make_series(noise=3.0))
    with pytest.raises(InputError, match="shows no vein whose curve is larger than the artery's"):
        reference_case(prepared, ReferenceSettings(absolute=True), workers=1)


def test_an_arterial_input_that_is_given_is_trusted_and_it_is_said(prepared: PreparedSeries, phantom: Phantom) -> None:
    given = ArterialInput(phantom.aif[prepared.dropped_frames :][: prepared.series.frames], "file")
    case = reference_case(prepared, ReferenceSettings(absolute=True), find_aif=lambda *_: given, workers=1)
    assert case.notes == ("Absolute values are as right as the arterial input that was given: no vein corrects them.",)


def test_an_arterial_input_that_holds_tissue_is_named(prepared: PreparedSeries) -> None:
    aif = automatic_aif(prepared)
    quality = judge_aif(aif, prepared, 0.22)
    assert quality.excess == pytest.approx(0.22 / EXPECTED_WHITE_MATTER)
    assert quality.voxels == aif.voxels.sum()
    assert quality.peak == pytest.approx(aif.curve.max())
    assert quality.lowest_signal == pytest.approx(np.exp(-0.03 * aif.curve.max()))
    (sentence,) = (each for each in quality.sentences if "unit" in each)
    assert sentence.startswith("In the AIF's unit white matter holds 22 ml/100 ml of blood, 8.8 times what is known")
    assert judge_aif(aif, prepared, 0.03).sentences == judge_aif(aif, prepared).sentences


def test_an_artery_at_the_noise_floor_is_named() -> None:
    series = make_series(noise=4.0, peak=40.0)
    artery = np.zeros(series.grid.shape, bool)
    artery[2, 11:13, 9:11] = True
    deep = 4.0 * np.abs(np.random.default_rng(0).standard_normal((series.frames, artery.sum()))).astype(np.float32)
    peak = int(np.argmin(series.signal[:, artery].mean(axis=1)))
    series.signal[peak - 1 : peak + 2, artery] = deep[peak - 1 : peak + 2]
    prepared = prepare(replace(series))
    quality = judge_aif(aif_from_vessels(prepared, artery), prepared)
    assert quality.at_noise_floor
    assert quality.sentences[0].startswith("The artery's signal falls to the noise floor")
    assert quality.sentences[-1] == "The AIF is the mean of 4 voxels only, and noisy."
    clean = prepare(make_series(noise=4.0, peak=40.0))
    assert not judge_aif(aif_from_vessels(clean, artery), clean).at_noise_floor
