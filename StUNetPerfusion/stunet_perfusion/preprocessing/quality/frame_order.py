"""Whether the frames follow each other in time, and the slices in space.

A bolus falls fast and recovers slowly; a series has one or two of them.
Frames in another order have a mean curve that jumps, and that an order which files often come in makes smooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from stunet_perfusion.preprocessing.quality.look import Look, rough_dip

#: The curve in the order of time is at least so much smoother than in the order in which the frames came.
_SMOOTHER = 0.35

#: Two directions in one curve are told apart from this share of its range on.
_TURN = 0.25

#: A bolus turns the curve twice; more turns than those of three are no boluses.
_MOST_TURNS = 5

#: The way up of a bolus over its way down, below which time is reversed; and the share of its depth that agent which
#: stays takes from the level.
_WAY_UP, _LEFT = 0.8, 0.05

#: A curve whose range is less than this share of its level is not looked at.
_LEAST_RANGE = 0.05


@dataclass(frozen=True)
class WrongOrder:
    """An order that is not that of time.

    :param name: identifier
    :param fact: what is wrong, for a sentence that begins with the series' name
    """

    name: str
    fact: str


def wrong_order(look: Look) -> WrongOrder | None:
    """How the frames are ordered, where it is not by time."""
    curve = look.curve
    dip = rough_dip(curve)
    rest = curve[dip.unsteady :] if dip.unsteady < len(curve) // 4 else curve
    level = float(np.percentile(rest, 90))
    if level <= 0 or np.ptp(ndimage.median_filter(rest, 3)) < _LEAST_RANGE * level:
        return None
    noise = _noise_of_mean(look)
    turns = _turns(rest, max(_TURN * float(np.ptp(rest)), 8 * noise))
    own = _roughness(curve)
    found = {name: _roughness(curve[np.argsort(order)]) for name, order in _orders(len(curve)).items()}
    name = min(found, key=found.__getitem__)
    if found[name] < _SMOOTHER * own and (turns > 2 or name.startswith("odd")):
        if name.startswith("odd") and not _halves_agree(curve, name):
            return None
        words = {
            "odd-even": "even frames first and odd ones after them",
            "odd-even-reversed": "odd frames first and even ones after them",
            "file-names": "by file name (1, 10, 11, ..., 2, 20, ...) and not by number",
            "file-names-from-0": "by file name (0, 1, 10, 11, ..., 2, 20, ...) and not by number",
        }
        return WrongOrder(name, f"has its frames in the wrong order: {words[name]}")
    if turns > _MOST_TURNS:
        return WrongOrder(
            "shuffled", f"has its frames in no order of time: the brain's mean signal jumps up and down {turns} times"
        )
    return None


def _orders(frames: int) -> dict[str, np.ndarray]:
    """(T,) number in time of each frame, by the name of the order that it came in."""
    number = np.arange(frames)
    by_name = np.array(sorted(range(1, frames + 1), key=str)) - 1
    by_name_from_0 = np.array(sorted(range(frames), key=str))
    return {
        "odd-even": np.concatenate([number[::2], number[1::2]]),
        "odd-even-reversed": np.concatenate([number[1::2], number[::2]]),
        "file-names": by_name,
        "file-names-from-0": by_name_from_0,
    }


def _roughness(curve: np.ndarray) -> float:
    """Sum of the squares of second differences; the largest do not count, which belong to the start."""
    return float((np.diff(curve[4:], 2) ** 2).sum())


def _halves_agree(curve: np.ndarray, name: str) -> bool:
    """Whether both halves are one curve, sampled by turns: two injections leave agent between them."""
    half = (len(curve) + 1) // 2
    first, second = (curve[:half], curve[half:]) if name == "odd-even" else (curve[-half:], curve[:-half])
    count = min(len(first) - 1, len(second))
    between = (first[:count] + first[1 : count + 1])[3:] / 2
    seen = second[:count][3:]
    depth = float(np.ptp(ndimage.median_filter(curve[3:], 3)))
    typical = np.sqrt(np.mean((between - seen) ** 2))
    return bool(typical < 0.08 * depth and abs(np.median(between[-5:] - seen[-5:])) < 0.05 * depth)


def _noise_of_mean(look: Look) -> float:
    """Standard deviation of the mean curve, from two halves of the voxels: it does not depend on the order."""
    first, second = look.signal[:, ::2].mean(axis=1), look.signal[:, 1::2].mean(axis=1)
    off = first - second
    return 1.4826 * float(np.median(np.abs(off - np.median(off)))) / 2


def _turns(curve: np.ndarray, least: float) -> int:
    """How often a curve turns by at least that much."""
    turns, direction, extreme = 0, 0, curve[0]
    for value in curve[1:]:
        if (direction >= 0 and value > extreme) or (direction <= 0 and value < extreme):
            if direction == 0 and abs(value - curve[0]) < least:
                continue
            direction = direction or int(np.sign(value - curve[0]))
            extreme = value
        elif abs(value - extreme) >= least:
            turns += 1
            direction, extreme = -direction, value
    return turns


def is_reversed(curve: np.ndarray, unsteady: int) -> bool:
    """Whether the bolus runs backwards: it falls slowly and recovers fast.

    On phantoms of both families the way up takes 1.8 to 4.5 times as long as the way down, and 0.3 to 1.0 times where
    time is reversed.

    :param curve: (T,) mean signal of the brain, without steps and drift
    :param unsteady: first frames that are not in steady state
    """
    rest = curve[unsteady:] if unsteady < len(curve) // 4 else curve
    calm = ndimage.median_filter(rest, 3, mode="nearest")
    peak = int(np.argmin(calm))
    if peak < 3 or peak > len(calm) - 4:
        return False
    before, after = calm[:peak], calm[peak:]
    level = min(np.percentile(before, 80), np.percentile(after, 80))
    depth = level - calm[peak]
    if depth < _LEAST_RANGE * level:
        return False
    way_up = _width(calm[peak:], level, depth) / _width(calm[peak::-1], level, depth)
    # Agent that is left lowers the level after a bolus. Both levels are taken far from the peak.
    left = (np.median(before[: max(peak // 2, 2)]) - np.median(after[-max(len(after) // 2, 2) :])) / depth
    # An approach to the steady state, at the end.
    rise = (curve[-1] - np.median(curve[-8:-3])) / depth
    if left > _LEFT:
        return False
    return bool(way_up < _WAY_UP or (way_up < 1 and (left < -_LEFT / 2 or rise > 3 * _LEFT)))


def _width(fall: np.ndarray, level: float, depth: float) -> float:
    """Frames from the lowest one to where a fifth of the drop is left."""
    above = np.flatnonzero(fall >= level - 0.3 * depth)
    if not len(above):
        return float(len(fall))
    frame = int(above[0])
    low, high = fall[frame - 1], fall[frame]
    return frame - 1 + float((level - 0.3 * depth - low) / (high - low)) if high > low else float(frame)


#: From so many slices on, and this share of them with a nearest neighbor elsewhere, slices are scrambled.
_FEWEST_SLICES, _ELSEWHERE = 6, 0.6

#: A slice that is not next to another one has to be nearer to it by that factor than those that are.
_CLEARLY_NEARER = 1.15


def scrambled_slices(image: np.ndarray) -> float:
    """The share of slices that are most alike to one that is not next to them.

    :param image: (Z, Y, X), a mean over frames without contrast
    :returns: 0 where there are too few slices to tell
    """
    with_signal = [z for z in range(len(image)) if image[z].any()]
    if len(with_signal) < _FEWEST_SLICES:
        return 0.0
    rows = np.stack([ndimage.zoom(image[z], 1, order=0)[::2, ::2].ravel() for z in with_signal]).astype(np.float64)
    different = np.abs(rows[:, None, :] - rows[None]).sum(axis=2) if rows.size < 2e6 else _differences(rows)
    np.fill_diagonal(different, np.inf)
    number = np.arange(len(rows))
    next_to = np.abs(number[:, None] - number) == 1
    of_next = np.where(next_to, different, np.inf).min(axis=1)
    return float(np.mean(different.min(axis=1) * _CLEARLY_NEARER < of_next))


def _differences(rows: np.ndarray) -> np.ndarray:
    return np.array([[np.abs(one - other).sum() for other in rows] for one in rows])


def is_scrambled(share: float) -> bool:
    """Whether that many slices are out of place."""
    return share >= _ELSEWHERE
