"""Lights for what was measured: each with what it means for the map, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stunet_perfusion.preprocessing.motion import Motion
from stunet_perfusion.preprocessing.quality.injections import Injections
from stunet_perfusion.preprocessing.quality.level import Trend
from stunet_perfusion.preprocessing.quality.noise import SignalNumbers
from stunet_perfusion.preprocessing.quality.report import Finding, Light, light_of
from stunet_perfusion.series import DscSeries

#: Limits between green and yellow, and between yellow and red.
DISPLACEMENT_MM = 1.5
FAR_MM = 15.0
DAMAGED_SHARE = 0.1
SATURATED = (0.002, 0.03)
ZEROS = (0.01, 0.2)
SMOOTHING = (0.65, 1.0)
TEMPORAL_SNR = (15.0, 5.0)
CONTRAST_TO_NOISE = (2.0, 0.7)
DROP = (0.06, 0.02)
BASELINE_FRAMES = (5, 3)
TAIL_FRAMES = (8, -1)
WIDTH_S = (3.0, 25.0, 45.0)
BRAIN_ML = (2000.0, 2800.0)
VOXEL_MM = (0.3, 12.0)


def on_damage(damaged: np.ndarray, mended: bool) -> Finding:
    """:param damaged: (Z, T) bool"""
    frames = np.flatnonzero(damaged.any(axis=0))
    slices = np.flatnonzero(damaged.any(axis=1))
    numbers = {
        "frames": [int(frame) for frame in frames],
        "slices": [int(z) for z in slices],
        "damaged_slices": int(damaged.sum()),
    }
    if not len(frames):
        return Finding("damaged_frames", "Damaged frames", "green", "No frame or slice is damaged.", numbers=numbers)
    whole = np.asarray(damaged.all(axis=0))
    what = f"{listed('frame', frames)} {'is' if len(frames) == 1 else 'are'} damaged" + (
        "" if whole[frames].all() else f" in {listed('slice', slices)}"
    )
    if not mended:
        meaning = f"{what}, which adds or takes blood where there is none."
        return Finding("damaged_frames", "Damaged frames", "red", meaning, "Mend frames, or leave them out.", numbers)
    light: Light = "red" if len(frames) > DAMAGED_SHARE * damaged.shape[1] + 1 else "yellow"
    meaning = f"{what}: bridged by the frames beside, so that the map is a little noisier there."
    return Finding("damaged_frames", "Damaged frames", light, meaning, "Look at these frames.", numbers)


def on_motion(motion: Motion, mended: bool, lost: float) -> Finding:
    """:param lost: share of the brain that left the image"""
    largest, frame = motion.largest, int(motion.displacement.argmax())
    numbers = {"largest_mm": round(largest, 2), "frame": frame, "lost_share": round(lost, 4)}
    seen = f"The head moves by up to {largest:.1f} mm (frame {frame})"
    if not motion.is_seen:
        return Finding("motion", "Motion", "green", "The head does not move visibly.", numbers=numbers)
    if mended:
        light: Light = "red" if lost > 0.1 or largest > FAR_MM else "yellow"
        meaning = f"{seen}: moved back, so that edges and the first and last slice are less certain."
        return Finding("motion", "Motion", light, meaning, "Look at the edges of the brain in the map.", numbers)
    light = "red" if largest > DISPLACEMENT_MM else "yellow"
    return Finding(
        "motion", "Motion", light, f"{seen}, which makes false blood at edges.", "Mend motion, or scan again.", numbers
    )


def on_level(trend: Trend, mended: bool) -> Finding:
    """Steps and drift."""
    steps = [{"frame": step.frame, "percent": round(100 * float(np.expm1(step.size)), 1)} for step in trend.steps]
    drift = 100 * float(np.expm1(trend.drift))
    numbers = {"steps": steps, "drift_percent": round(drift, 1)}
    if not steps and not trend.drift:
        return Finding(
            "level", "Signal level", "green", "The level of the signal neither jumps nor drifts.", numbers=numbers
        )
    what = " and ".join(
        [f"jumps by {step['percent']:+.0f} % at frame {step['frame']}" for step in steps]
        + ([f"drifts by {drift:+.0f} % over the series"] if trend.drift else [])
    )
    if mended:
        meaning = f"The level of the signal {what}: taken off, which leaves the zero of the map less certain."
        return Finding("level", "Signal level", "yellow", meaning, "Compare the ends of the curve.", numbers)
    meaning = f"The level of the signal {what}, which is taken for blood in all voxels."
    return Finding("level", "Signal level", "red", meaning, "Mend the level, or rescale the frames.", numbers)


def on_injections(found: Injections, chosen: bool) -> Finding:
    """:param chosen: by the user"""
    count = len(found.peaks)
    numbers = {
        "count": count,
        "used": found.used + 1,
        "peak_frames": list(found.peaks),
        "depths": [round(depth, 3) for depth in found.depths],
    }
    if count == 1:
        return Finding("injections", "Injections", "green", "One bolus passes.", numbers=numbers)
    meaning = (
        f"{count} boluses pass (frames {', '.join(map(str, found.peaks))}); number {found.used + 1} is used, with the "
        "baseline just before it."
    )
    light: Light = "green" if chosen else "yellow"
    return Finding("injections", "Injections", light, meaning, "Choose another bolus where that is wrong.", numbers)


def on_signal(seen: SignalNumbers) -> list[Finding]:
    """Noise, contrast, and the shape of the bolus."""
    return [
        _number(
            "temporal_snr",
            "Temporal SNR",
            seen.temporal_snr,
            TEMPORAL_SNR,
            "The signal before the bolus is {:.0f} times its noise",
            "the map is noisy",
            "Trust regions rather than voxels.",
        ),
        _number(
            "contrast_to_noise",
            "Contrast",
            seen.contrast_to_noise,
            CONTRAST_TO_NOISE,
            "The bolus lowers the signal by {:.1f} times the noise",
            "the map is noisy",
            "Check the injected dose.",
        ),
        _number(
            "drop",
            "Signal drop",
            seen.drop,
            DROP,
            "The brain's mean signal drops by {:.2f} of its level",
            "there is hardly any bolus",
            "Check dose, echo time and injection.",
        ),
        on_width(seen.width_s),
        _number(
            "baseline_frames",
            "Baseline",
            seen.baseline_frames,
            BASELINE_FRAMES,
            "{:.0f} frames lie before the bolus",
            "the unit of every voxel's curve is uncertain",
            "Inject later.",
        ),
        _number(
            "tail_frames",
            "Tail",
            seen.tail_frames,
            TAIL_FRAMES,
            "{:.0f} frames follow the first pass",
            "drift and leakage cannot be told from blood",
            "Scan longer.",
        ),
        _number(
            "saturation",
            "Saturation",
            seen.saturated,
            SATURATED,
            "{:.3f} of the brain's values are the largest value of the series",
            "bright tissue is cut off and its blood is too low",
            "Export the series with its full range of values.",
        ),
        _number(
            "zeros",
            "Zeros",
            seen.zeros,
            ZEROS,
            "{:.3f} of the brain's values are exactly zero",
            "these voxels have no curve",
            "Check masks that were applied to the series.",
        ),
        _number(
            "smoothing",
            "Smoothing",
            seen.smoothing,
            SMOOTHING,
            "Neighbors share {:.2f} of their noise",
            "the images were smoothed, so that small lesions are blurred and the noise is underestimated",
            "Give the series without spatial smoothing.",
        ),
    ]


def on_width(width: float) -> Finding:
    """Full width at half maximum, seconds."""
    least, most, far = WIDTH_S
    number = round(width, 2) if np.isfinite(width) else None
    if not np.isfinite(width):
        return Finding(
            "width", "Bolus width", "yellow", "The width of the bolus is not known.", numbers={"value": None}
        )
    light: Light = "green" if least <= width <= most else "red" if width > far else "yellow"
    meaning = f"The bolus is {width:.1f} s wide at half of its height" + (
        "." if light == "green" else ": unlike a bolus in a brain."
    )
    advice = "" if light == "green" else "Check the time between frames and the injection rate."
    return Finding("width", "Bolus width", light, meaning, advice, {"value": number})


def on_geometry(series: DscSeries, brain: np.ndarray, scrambled: float, is_scrambled: bool) -> list[Finding]:
    """Volume of the brain, size of the voxels, order of the slices."""
    milliliters = float(brain.sum() * series.grid.spacing.prod()) / 1000
    spacing = series.grid.spacing
    plane = spacing[:2] if brain.shape[0] == 1 else spacing
    numbers = {"value": round(milliliters, 1), "spacing_mm": [round(float(step), 4) for step in spacing]}
    findings = []
    if (plane.max() > VOXEL_MM[1] and plane[:2].max() > VOXEL_MM[1]) or plane[:2].min() < VOXEL_MM[0]:
        meaning = (
            f"Voxels of {' x '.join(f'{step:.3g}' for step in spacing)} mm are no brain scan's, so volumes are wrong."
        )
        advice = "Check whether the grid is in centimeters or meters."
        findings.append(Finding("brain_volume", "Brain volume", "red", meaning, advice, numbers))
    else:
        light = light_of(milliliters, *BRAIN_ML)
        meaning = f"The brain has {milliliters:.0f} ml" + ("." if light == "green" else ", more than a brain has.")
        advice = "" if light == "green" else "Check the brain mask, the voxel size and the kind of image."
        findings.append(Finding("brain_volume", "Brain volume", light, meaning, advice, numbers))
    share = {"share_elsewhere": round(scrambled, 3)}
    if is_scrambled:
        meaning = "The slices are most alike to others than their neighbors: they seem to be in the wrong order."
        advice = "Sort the slices by their position."
        findings.append(Finding("slice_order", "Slice order", "red", meaning, advice, share))
    else:
        findings.append(Finding("slice_order", "Slice order", "green", "Neighboring slices are alike.", numbers=share))
    return findings


def on_protocol(series: DscSeries) -> Finding:
    """What is known of the protocol against the consensus (Boxerman et al. 2020, Neuro-Oncology 22:1262)."""
    interval, te = series.frame_interval, series.echo_time
    duration = float(series.times[-1] - series.times[0])
    numbers = {"frame_interval_s": round(interval, 4), "echo_time_s": te, "duration_s": round(duration, 2)}
    away = []
    if interval > 2.2:
        away.append(f"{interval:.3g} s between frames (recommended: 1 to 1.5)")
    if te is not None and not 0.015 <= te <= 0.055:
        away.append(f"an echo time of {1000 * te:.3g} ms (recommended: 25 to 35 at 3 T, 40 to 50 at 1.5 T)")
    if duration < 50:
        away.append(f"{duration:.3g} s in all (recommended: 120)")
    if not away:
        return Finding("protocol", "Protocol", "green", "What is known of the protocol is usual.", numbers=numbers)
    meaning = f"The protocol is unusual: {', '.join(away)}."
    return Finding("protocol", "Protocol", "yellow", meaning, "Compare with scans of the same protocol only.", numbers)


def on_kind(ratio: bool) -> Finding:
    """Magnitude images, or images over their baseline."""
    if not ratio:
        return Finding("kind", "Kind of data", "green", "The images are magnitude images of a bolus.")
    meaning = "Every voxel was divided by its own baseline: air looks like tissue, and the noise is not known."
    return Finding("kind", "Kind of data", "red", meaning, "Give the MR signal, or a brain mask at least.")


def listed(word: str, numbers: Sequence[int] | np.ndarray) -> str:
    """`frame 3`, `frames 3, 4 and 6 more`."""
    some = ", ".join(str(int(number)) for number in numbers[:4])
    more = len(numbers) - 4
    return f"{word.capitalize() if word == 'frame' else word}{'s' if len(numbers) > 1 else ''} {some}" + (
        f" and {more} more" if more > 0 else ""
    )


def _number(
    name: str, title: str, value: float, limits: tuple[float, float], fact: str, meaning: str, advice: str
) -> Finding:
    light = light_of(value, *limits)
    text = fact.format(value if np.isfinite(value) else 1e6)
    numbers = {"value": float(f"{value:.4g}") if np.isfinite(value) else None}
    if light == "green":
        return Finding(name, title, light, f"{text}.", numbers=numbers)
    return Finding(name, title, light, f"{text}: {meaning}.", advice, numbers)
