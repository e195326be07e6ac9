"""How maps come out of damaged scans, mended and not: phantoms of both families, one damage each.

python Testing/benchmarks/damaged_scans.py [--persons 4] [--matrix 64] [--slices 8] [--clean 20] [--output FILE.csv]

Each person is scanned once without damage and once with each. Columns: light, correlation with the truth over the
brain, tumor over white matter relative to the true ratio, share of voxels whose truth the 95 % interval holds, as it is
and after mending. `--clean` counts lights and notes on Equation 1 of further undamaged scans.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from stunet_perfusion.curve_fit.equation1_detection import notes_on_equation1
from stunet_perfusion.inference.predict import PredictedCase, PredictionSettings, predict_case
from stunet_perfusion.networks.checkpoint import Checkpoint, load
from stunet_perfusion.phantom import Phantom, drawn_anatomy, make_phantom, random_physiology, random_protocol
from stunet_perfusion.phantom.second_family import second_physiology, second_protocol
from stunet_perfusion.preprocessing.motion import Motion, moved_back
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.preprocessing.scan import prepare_scan
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint

FAMILIES = ((random_physiology, random_protocol), (second_physiology, second_protocol))


@dataclass(frozen=True, eq=False)
class Person:
    """A phantom with its undamaged series, and the frame of the lowest signal."""

    name: str
    phantom: Phantom
    series: DscSeries
    peak: int

    def changed(self, signal: np.ndarray) -> DscSeries:
        """The series with another signal."""
        times = self.series.times[0] + self.series.frame_interval * np.arange(len(signal))
        return replace(self.series, signal=np.asarray(signal, np.float32), times=times)


def make_person(number: int, matrix: int, slices: int, heads: dict) -> Person:
    """The same person for the same number; even ones are of the training family."""
    generator = np.random.default_rng(7000 + number)
    physiology, protocol = FAMILIES[number % 2]
    seed = 300 + number // 2 % 2
    head = heads.setdefault(seed, drawn_anatomy(seed))
    drawn = protocol(generator)
    person = physiology(generator, number % 4 > 1)
    scan = replace(drawn, matrix=matrix, slices=slices, slice_spacing=90.0 / slices, slice_thickness=80.0 / slices)
    phantom = make_phantom(head, tumor="random", physiology=person, protocol=scan, seed=number)
    series = phantom.series(1.0)
    prepared = prepare(series)
    return Person(
        f"{'second' if number % 2 else 'training'} {number}",
        phantom,
        series,
        prepared.dropped_frames + prepared.bolus.peak,
    )


def moved(person: Person, share: np.ndarray, shift: tuple[float, ...]) -> DscSeries:
    """The head at `share` of a shift (mm) and turn (degrees) in each frame."""
    series = person.series
    shifts = np.outer(share, np.array(shift) * np.r_[1, 1, 1, np.full(3, np.pi / 180)])
    far = np.abs(shifts).sum(axis=1)
    center = (np.array(series.grid.shape[::-1]) - 1) / 2 * series.grid.spacing
    motion = Motion(shifts, far, far, center, np.ones(series.frames, bool))
    return person.changed(moved_back(series.signal, motion, series.grid.spacing)[0])


def times(factor: float, frames: slice) -> Callable[[Person], DscSeries]:
    """Some frames times a factor."""

    def change(person: Person) -> DscSeries:
        signal = person.series.signal.copy()
        signal[frames] *= factor
        return person.changed(signal)

    return change


def drifting(last: float) -> Callable[[Person], DscSeries]:
    return lambda person: person.changed(
        person.series.signal * np.linspace(1, last, person.series.frames)[:, None, None, None]
    )


def after(person: Person, frames: int) -> np.ndarray:
    return (np.arange(person.series.frames) >= person.peak + frames).astype(float)


def slice_lost(person: Person) -> DscSeries:
    signal = person.series.signal.copy()
    signal[person.peak + 1, signal.shape[1] // 2] *= 0.2
    return person.changed(signal)


def gain_after_first_pass(person: Person) -> DscSeries:
    return times(1.15, slice(person.peak + 14, None))(person)


def two_boluses(person: Person, first: float) -> DscSeries:
    """A preload of a share of the dose, and the full dose after it."""
    signal = person.series.signal.astype(np.float64)
    start = max(person.peak - 14, 6)
    s0 = np.maximum(signal[5:start].mean(axis=0), 1)
    before = s0 * np.maximum(signal / s0, 1e-3) ** first
    left = np.clip(before[-6:].mean(axis=0) / s0, 0.3, 2)
    return person.changed(np.concatenate([before, signal[5:] * left]))


DAMAGES: dict[str, Callable[[Person], DscSeries]] = {
    "none": lambda person: person.changed(person.series.signal.copy()),
    "moves 3 mm, 2 degrees at peak, stays": lambda p: moved(p, after(p, 0), (2.0, 2.0, 0.8, 0.5, 0.5, 2.0)),
    "moves 4 mm, 3 degrees late, stays": lambda p: moved(p, after(p, 16), (2.6, 2.8, 0.8, 0.5, 0.5, 3.0)),
    "drifts 4 mm": lambda p: moved(p, np.linspace(0, 1, p.series.frames), (2.6, 2.6, 0.5, 0.3, 0.3, 1.0)),
    "slice loses 80 % in a frame of the bolus": slice_lost,
    "frame at half in the baseline": times(0.5, slice(7, 8)),
    "frame at half, late": times(0.5, slice(-12, -11)),
    "gain 15 % up after the first pass": gain_after_first_pass,
    "gain 15 % down in the first frames": times(0.85, slice(0, 5)),
    "signal drifts 12 % up": drifting(1.12),
    "signal drifts 12 % down": drifting(0.88),
    "two equal boluses": lambda p: two_boluses(p, 1.0),
    "half dose, then full": lambda p: two_boluses(p, 0.5),
    "last frame empty": times(0.0, slice(-1, None)),
    "saturated": lambda p: p.changed(
        np.minimum(p.series.signal, np.percentile(p.series.signal[5][p.phantom.mask], 60))
    ),
    "smoothed": lambda p: p.changed(ndimage.gaussian_filter(p.series.signal, (0, 0, 1.2, 1.2))),
    "frames divided by their mean": lambda p: p.changed(
        300 * p.series.signal / p.series.signal.mean(axis=(1, 2, 3), keepdims=True)
    ),
    "time reversed": lambda p: p.changed(p.series.signal[::-1]),
    "odd frames after even ones": lambda p: p.changed(np.concatenate([p.series.signal[::2], p.series.signal[1::2]])),
}


def score(person: Person, case: PredictedCase) -> tuple[float, float, float]:
    """Correlation, tumor over white matter over the true one, and coverage of the truth in the unit that fits best."""
    phantom = person.phantom
    inside = phantom.mask & case.prepared.brain
    truth, found, error = phantom.cbv[inside], case.map.cbv[inside], case.map.uncertainty[inside]
    unit = float(np.vdot(found, truth) / np.vdot(found, found))
    ratio = case.map.cbv[phantom.tumor].mean() / case.map.cbv[phantom.nawm].mean()
    true = phantom.cbv[phantom.tumor].mean() / phantom.cbv[phantom.nawm].mean()
    covered = np.abs(unit * found - truth) <= 1.96 * unit * error
    return float(np.corrcoef(found, truth)[0, 1]), float(ratio / true), float(covered.mean())


def row(person: Person, damage: str, checkpoint: Checkpoint) -> dict[str, object]:
    """What comes of one damage, as it is and mended."""
    result: dict[str, object] = {"person": person.name, "damage": damage}
    for mend in ("off", "auto"):
        series = DAMAGES[damage](person)
        try:
            case = predict_case(series, checkpoint, PredictionSettings(mend=mend))
        except InputError as error:
            result[f"light {mend}"] = f"refused: {error.fact}"
            continue
        quality = case.prepared.quality
        correlation, ratio, coverage = score(person, case)
        result |= {
            f"light {mend}": "" if quality is None else quality.light,
            f"r {mend}": round(correlation, 3),
            f"ratio {mend}": round(ratio, 3),
            f"coverage {mend}": round(coverage, 3),
        }
    return result


def count_clean(count: int, matrix: int, slices: int, heads: dict) -> str:
    """Lights and false alarms of undamaged scans: as they are, every second frame, 20 and 16 frames, smoothed."""
    lights = {"green": 0, "yellow": 0, "red": 0}
    refused = alarms = scans = 0
    for number in range(count):
        person = make_person(1000 + number, matrix, slices, heads)
        signal, interval = person.series.signal, person.series.frame_interval
        variants = {
            1: signal,
            2: signal[::2],
            3: signal[::2][:20],
            4: signal[::3][:16],
            5: ndimage.gaussian_filter(signal, (0, 0, 0.8, 0.8)),
        }
        for variant, values in variants.items():
            step = {2: 2, 3: 2, 4: 3}.get(variant, 1)
            series = replace(person.series, signal=values, times=step * interval * np.arange(len(values)))
            scans += 1
            try:
                prepared = prepare_scan(series)
            except InputError as error:
                refused += 1
                print(f"{person.name}, variant {variant}: {error}", flush=True)
                continue
            assert prepared.quality is not None
            if variant == 1:
                lights[prepared.quality.light] += 1
                for sentence in prepared.quality.sentences():
                    print(f"{person.name}: {sentence}", flush=True)
            alarms += bool(notes_on_equation1(prepared))
    return f"{count} undamaged scans: {lights}; Equation 1 claimed in {alarms} of {scans} variants ({refused} refused)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=4)
    parser.add_argument("--first", type=int, default=0, help="number of the first person")
    parser.add_argument("--matrix", type=int, default=64)
    parser.add_argument("--slices", type=int, default=8)
    parser.add_argument("--clean", type=int, default=20)
    parser.add_argument("--damages", nargs="*", default=list(DAMAGES))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    checkpoint, heads, rows = load(shipped_checkpoint()), {}, []
    started = time.monotonic()
    for number in range(options.first, options.first + options.persons):
        person = make_person(number, options.matrix, options.slices, heads)
        for damage in options.damages:
            rows.append(row(person, damage, checkpoint))
            print(rows[-1], flush=True)
    if options.clean:
        print(count_clean(options.clean, options.matrix, options.slices, heads))
    print(f"{time.monotonic() - started:.0f} s")
    if options.output and rows:
        columns = list(dict.fromkeys(name for each in rows for name in each))
        with open(options.output, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
