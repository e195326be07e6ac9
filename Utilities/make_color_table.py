"""Make the color table of perfusion maps: black where there is no blood, then blue, green, yellow, red.

Anchors are joined by a smooth path through CIELAB, and the path is cut into 255 pieces of equal length, so that
equal differences of CBV look like equal differences of color. Lightness rises all the way from black to yellow.

    python Utilities/make_color_table.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator
from skimage.color import lab2rgb, rgb2lab

TABLE = Path(__file__).resolve().parent.parent / "StUNetPerfusion" / "Resources" / "ColorTables" / "CBV.ctbl"
COLORS = 256
ANCHORS = (
    (0, 0, 0),
    (27, 28, 110),
    (32, 84, 190),
    (0, 150, 170),
    (60, 185, 90),
    (250, 228, 60),
    (240, 135, 35),
    (190, 15, 30),
)


def perfusion_colors() -> np.ndarray:
    """(256, 3) sRGB, 0 to 255."""
    lab = rgb2lab(np.array(ANCHORS, dtype=float)[None] / 255)[0]
    knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(lab, axis=0), axis=1))])
    path = PchipInterpolator(knots, lab)(np.linspace(0, knots[-1], 20_000))
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0, lengths[-1], COLORS)
    samples = np.stack([np.interp(even, lengths, path[:, c]) for c in range(3)], axis=1)
    return np.round(255 * np.clip(lab2rgb(samples[None])[0], 0, 1)).astype(int)


def main() -> None:
    lines = [
        "# Color table of StUNetPerfusion: cerebral blood volume. Made by Utilities/make_color_table.py",
        "# 256 values",
    ]
    lines += [f"{index} {index} {r} {g} {b} 255" for index, (r, g, b) in enumerate(perfusion_colors())]
    TABLE.write_text("\n".join(lines) + "\n")
    print(TABLE)


if __name__ == "__main__":
    main()
