"""How well a simulated low dose stands for a real one: the paper's Fig. 4, on phantoms instead of a rat.

A phantom can be scanned at any dose. So the series that Equation 1 and `noise-matched` compute from the full dose is
held against the one that a scan at the lower dose gives: curves, peak and area of tissues, and noise of the CBV map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.dose.simulate import Method, simulate_slice
from stunet_perfusion.evaluation.phantom_subjects import graded_phantom
from stunet_perfusion.kinetics.concentration import concentration_curves
from stunet_perfusion.phantom import Phantom
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.progress import Progress, no_progress

#: A stream of seeds that nothing else uses.
STUDY_STREAM = 4 * 10**6

#: The scan at the lower dose, beside the methods of `dose`.
PHYSICAL = "physical"

#: The window of Equation 1 that is used everywhere else.
USUAL_WINDOW = 5

NOISE_FREE = float("inf")


@dataclass(frozen=True)
class StudySettings:
    """What is varied.

    :param doses: shares of the full dose
    :param windows: frames of Equation 1's moving average
    :param snrs: temporal signal-to-noise ratios, besides the noise-free series
    :param seed: of phantoms and noise
    :param slice_step: only every so many slices
    """

    doses: tuple[float, ...] = (0.5, 0.25)
    windows: tuple[int, ...] = (3, 5, 7, 9)
    snrs: tuple[float, ...] = (25.0, 50.0, 100.0)
    seed: int = 0
    slice_step: int = 1


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What the study found.

    :param rows: one a head, dose, tissue, SNR, method and window: `peak_bias` and `area_bias` of the tissue's mean
        delta R2* curve, relative to the physical low dose, and `noise_ratio`, the noise of its CBV over that of the
        physical low dose (missing where there is no noise)
    :param curves: one a head, dose, tissue, method and frame, noise-free: `time` (s) and `delta_r2_star` (1/s)
    """

    rows: list[dict[str, Any]]
    curves: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class _Measured:
    """Per tissue: mean delta R2* curve (T,), and CBV of every voxel over the dose."""

    curves: dict[str, np.ndarray]
    cbv: dict[str, np.ndarray]


def study_doses(heads: Sequence[str], settings: StudySettings, progress: Progress = no_progress) -> StudyResult:
    """Scan a phantom of each head, simulate, and compare.

    :param heads: label maps, `mni` or `drawn`
    :raises InputError: a head that cannot be used
    """
    result = StudyResult([], [])
    for n, head in enumerate(heads):
        progress(n / len(heads), f"Simulating doses of head {n + 1} of {len(heads)}")
        phantom = graded_phantom(
            head, "random", "training", True, (settings.seed, STUDY_STREAM, n), settings.slice_step
        )
        name = f"{n + 1:03d} {Path(head).name.split('.')[0]}"
        found = study_phantom(phantom, settings)
        result.rows.extend({"head": name} | row for row in found.rows)
        result.curves.extend({"head": name} | row for row in found.curves)
    return result


def study_phantom(phantom: Phantom, settings: StudySettings) -> StudyResult:
    """The study on one phantom. The frames and the baseline are those of its noise-free full dose.

    The scanner does not drift here: a drift is not contrast, does not scale with the dose, and would say more about
    the sign that it happens to have than about a method.
    """
    phantom = replace(phantom, protocol=replace(phantom.protocol, drift=0.0))
    clean = prepare(phantom.series(1.0, noise=False), mask=phantom.mask)
    dropped, arrival, times = clean.dropped_frames, clean.bolus.arrival, clean.series.times
    regions = tissues_of(phantom)
    variants: list[tuple[Method, int]] = [("equation1", window) for window in settings.windows]
    variants.append(("noise-matched", 0))

    def scan(snr: float, dose: float) -> np.ndarray:
        own = replace(phantom, protocol=replace(phantom.protocol, temporal_snr=snr))
        return own.series(dose, noise=snr != NOISE_FREE).signal[dropped:]

    def measure(signal: np.ndarray, dose: float) -> _Measured:
        return _measure(signal, arrival, phantom.echo_time, regions, dose * phantom.aif[dropped:].sum())

    result = StudyResult([], [])
    # noise is what a noisy series has beyond the noise-free one that was treated alike
    clean_of: dict[tuple[float, str, int], _Measured] = {}
    for snr in (NOISE_FREE, *settings.snrs):
        full = scan(snr, 1.0)
        for dose in settings.doses:
            physical = measure(scan(snr, dose), dose)
            clean_of.setdefault((dose, PHYSICAL, 0), physical)
            if snr == NOISE_FREE:
                result.curves.extend(_curve_rows(physical, times, dose, PHYSICAL))
            for method, window in variants:
                simulated = measure(_simulate(full, arrival, dose, method, window, settings.seed), dose)
                noise_free = clean_of.setdefault((dose, method, window), simulated)
                if snr == NOISE_FREE and window in (0, USUAL_WINDOW):
                    result.curves.extend(_curve_rows(simulated, times, dose, method))
                for tissue in regions:
                    row = {"dose": dose, "tissue": tissue, "snr": snr, "method": method, "window": window}
                    row |= _bias(
                        simulated.curves[tissue], physical.curves[tissue], clean_of[dose, PHYSICAL, 0].curves[tissue]
                    )
                    if snr != NOISE_FREE:
                        own = (simulated.cbv[tissue] - noise_free.cbv[tissue]).std()
                        real = (physical.cbv[tissue] - clean_of[dose, PHYSICAL, 0].cbv[tissue]).std()
                        row["noise_ratio"] = float(own / real)
                    result.rows.append(row)
    return result


def tissues_of(phantom: Phantom) -> dict[str, np.ndarray]:
    """(Z, Y, X) bool voxels that are nearly all of one tissue, by its name; tissues without voxels are left out."""
    shares = phantom.fractions
    regions = {
        "gray matter": shares[Tissue.CORTEX] > 0.8,
        "white matter": shares[Tissue.WHITE_LEFT] + shares[Tissue.WHITE_RIGHT] > 0.95,
        "tumor": shares[Tissue.TUMOR_RIM] > 0.8,
        "artery": phantom.vessels,
    }
    return {name: region for name, region in regions.items() if region.sum() > 1}


def _simulate(full: np.ndarray, arrival: int, dose: float, method: Method, window: int, seed: int) -> np.ndarray:
    result = np.empty_like(full)
    for z in range(full.shape[1]):
        generator = np.random.default_rng([seed, z])
        result[:, z] = simulate_slice(full[:, z], arrival, dose, method, generator, window or USUAL_WINDOW)
    return result


def _measure(
    signal: np.ndarray, arrival: int, echo_time: float, regions: dict[str, np.ndarray], arterial_area: float
) -> _Measured:
    curves, cbv = {}, {}
    for name, region in regions.items():
        found = concentration_curves(signal[:, region], arrival, echo_time)
        curves[name] = found.mean(axis=1, dtype=np.float64)
        cbv[name] = found.sum(axis=0, dtype=np.float64) / arterial_area
    return _Measured(curves, cbv)


def _bias(curve: np.ndarray, physical: np.ndarray, noise_free: np.ndarray) -> dict[str, float]:
    """Peak and area relative to the physical low dose; the peak in the frame where it is without noise, since the
    largest of noisy values is too large."""
    peak = int(np.argmax(noise_free))
    return {
        "peak_bias": float(curve[peak] / physical[peak] - 1),
        "area_bias": float(curve.sum() / physical.sum() - 1),
    }


def _curve_rows(measured: _Measured, times: np.ndarray, dose: float, method: str) -> Iterator[dict[str, Any]]:
    for tissue, curve in measured.curves.items():
        for time, value in zip(times, curve, strict=True):
            yield {
                "dose": dose,
                "tissue": tissue,
                "method": method,
                "time": float(time),
                "delta_r2_star": float(value),
            }
