"""What the error of the fit of the mean curve is made of: thermal noise, physiological noise, and the rest.

    python Testing/benchmarks/error_sources.py HEAD.nii.gz [HEAD.nii.gz ...] [--dose 0.25] [--subjects 10]

The phantoms are those that `stunet-perfusion evaluate` draws. The weights of the fit are those of the noisy series each
time, so that nothing but the noise differs.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import get_args

import numpy as np

from stunet_perfusion.curve_fit.first_pass import FirstPass
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass
from stunet_perfusion.curve_fit.slice_curves import SliceCurves
from stunet_perfusion.evaluation.phantom_subjects import EVALUATION_STREAM, Family, graded_phantom
from stunet_perfusion.kinetics.cbv_scale import CLIP
from stunet_perfusion.phantom import Phantom
from stunet_perfusion.preprocessing.preparation import prepare


def errors_of(phantom: Phantom, dose: float) -> dict[str, float]:
    """Mean squared difference (10^-2) of standardized maps from the truth, by what noise there is."""
    protocol = phantom.protocol
    without_body = replace(phantom, protocol=replace(protocol, physiological_noise=0.0))
    without_thermal = replace(phantom, protocol=replace(protocol, temporal_snr=float("inf")))
    prepared = prepare(phantom.series(dose), mask=phantom.mask)
    found = find_first_pass(prepared, fitted=True)
    truth = _standardized(phantom.cbv[phantom.mask])
    scans = {
        "all noise": phantom.series(dose),
        "thermal noise": without_body.series(dose),
        "physiological noise": without_thermal.series(dose),
        "no noise": phantom.series(dose, noise=False),
    }
    return {
        noise: 100 * float(np.mean((_fit(scan.signal[prepared.dropped_frames :], found, phantom) - truth) ** 2))
        for noise, scan in scans.items()
    }


def _fit(signal: np.ndarray, found: FirstPass, phantom: Phantom) -> np.ndarray:
    maps = [SliceCurves.of(signal[:, z], found).fitted_blood_volume() for z in range(signal.shape[1])]
    return _standardized(np.stack(maps)[phantom.mask])


def _standardized(values: np.ndarray) -> np.ndarray:
    return np.clip((values - values.mean()) / values.std(), -CLIP, CLIP)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heads", nargs="+")
    parser.add_argument("--dose", type=float, default=0.25)
    parser.add_argument("--subjects", type=int, default=10)
    parser.add_argument("--slice-step", type=int, default=5)
    options = parser.parse_args()
    for family in get_args(Family):
        found = [
            errors_of(
                graded_phantom(
                    options.heads[n % len(options.heads)],
                    "random",
                    family,
                    n % 2 == 1,
                    (0, EVALUATION_STREAM, n),
                    options.slice_step,
                ),
                options.dose,
            )
            for n in range(options.subjects)
        ]
        print(f"{family} family, {100 * options.dose:g} % of the dose, L2 (10^-2) against the truth")
        for noise in found[0]:
            print(f"  {noise:18} {np.mean([errors[noise] for errors in found]):6.2f}")


if __name__ == "__main__":
    main()
