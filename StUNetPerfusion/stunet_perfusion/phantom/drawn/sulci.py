"""The sulci that every brain has and that radiologists know by name: where folds are not left to chance."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.phantom.drawn.canvas import SIZE, Canvas

#: Folds follow a named sulcus within this distance, mm (standard deviation of a Gaussian).
_REACH = 11.0

#: How much stronger than the random waves.
_STRENGTH = 1.6

#: Over so many mm a sulcus begins and ends.
_END = 8.0


def named_sulci(
    points: Canvas, middle: np.ndarray, wobble: np.ndarray, wavelength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Waves whose zero is each of the named sulci, and how much they count at each point.

    :param points: near the surface, coordinates (V,)
    :param middle: (V,) mm from the body that the corpus callosum arches over
    :param wobble: (V,) mm by which a sulcus is elsewhere than a formula says
    :param wavelength: of the folds around, mm
    :returns: waves and weights from 0 to 1, both (V,) float32
    """
    total = np.zeros_like(points.x)
    weights = np.zeros_like(points.x)
    for sheet, within in _sheets(points, middle):
        distance = sheet + wobble
        weight = np.exp(-0.5 * (distance / _REACH) ** 2) * np.clip(within / _END, 0, 1)
        total += weight * np.sin(2 * np.pi / wavelength * distance)
        weights += weight
    share = np.float32(_STRENGTH) / np.maximum(weights, 1)
    return (total * share).astype(np.float32), np.minimum(weights, 1).astype(np.float32)


def _sheets(p: Canvas, middle: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each sulcus: signed distance, and how far within its ends a point is, both mm."""
    side = np.abs(p.x)
    lateral = SIZE * (side - 14)
    medial = SIZE * (12 - side)
    sylvian = p.z - (-2 - 0.42 * (p.y - 3))
    return [
        # central: from the vertex forwards and down
        (SIZE * 0.9 * (p.y + 34 - 0.0083 * side**2), SIZE * np.minimum(p.z - 14, side + 4)),
        # superior frontal
        (SIZE * (side - 25), SIZE * np.minimum(p.y - 2, p.z - 22)),
        # intraparietal
        (SIZE * (side - 30 - 0.25 * (p.y + 50)), SIZE * np.minimum(-42 - p.y, p.z - 18)),
        # superior temporal: along the Sylvian fissure
        (SIZE * 0.92 * (sylvian + 19), np.minimum(lateral - 15, SIZE * np.minimum(12 - p.y, p.y + 62))),
        # cingulate
        (middle - 13, np.minimum(medial, SIZE * np.minimum(p.z + 2 + 0.3 * (20 - p.y), p.y + 40))),
        # parieto-occipital and calcarine
        (SIZE * 0.85 * (p.y + 62 + 0.55 * (p.z - 10)), np.minimum(medial, SIZE * (p.z - 8))),
        (SIZE * (p.z - 3), np.minimum(medial, SIZE * (-58 - p.y))),
    ]
