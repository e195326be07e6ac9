"""Draw the icon: a brain seen from above as a CBV map, its two hemispheres joined into the letter U.

python Utilities/draw_icon.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from stunet_perfusion.support.colormap import perfusion_colors

ROOT = Path(__file__).resolve().parent.parent
ICONS = (ROOT / "StUNetPerfusion.png", ROOT / "StUNetPerfusion" / "Resources" / "Icons" / "StUNetPerfusion.png")
SIZE = 128
SCALE = 8
BACKGROUND = (16, 20, 33)


def folding(x: np.ndarray, wavelength: float, seed: int) -> np.ndarray:
    """Smooth irregular waves of mean 0 and standard deviation 1, the same in both hemispheres."""
    sigma = wavelength * x.shape[1] / 2 / 4
    waves = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(x.shape), sigma)
    half = x.shape[1] // 2
    waves[:, :half] = waves[:, : half - 1 : -1]
    return (waves - waves.mean()) / waves.std()


def u_brain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the brain is, on coordinates from -1 to 1 with y upwards."""
    fissure_width = 0.135 + 0.07 * np.clip((y + 0.2) / 1.1, 0, None) ** 2
    fissure = ((np.abs(x) < fissure_width) & (y > -0.22)) | (np.hypot(x, y + 0.22) < 0.135)
    whole = (np.hypot(x / 0.80, (y - 0.01) / 0.91) < 1) & ~fissure
    rounded = ndimage.gaussian_filter(whole.astype(float), 0.05 * x.shape[1] / 2)
    return rounded + 0.13 * folding(x, 0.15, seed=4) * np.clip(4 * np.abs(x) - 0.8, 0, 1) > 0.5


def blood_volume(brain: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """CBV from 0 to 1: a bright folded cortex around dark white matter, a deep nucleus, and one hot spot."""
    depth = ndimage.distance_transform_edt(brain) / (x.shape[1] / 2)
    folds = np.clip(0.125 + 0.045 * folding(x, 0.17, seed=7), 0.06, None)
    cortex = 1 / (1 + np.exp((depth - folds) / 0.018))
    nuclei = np.exp(-(((np.abs(x) - 0.45) / 0.085) ** 2) - ((y - 0.02) / 0.19) ** 2)
    tumor = np.exp(-(((x - 0.46) / 0.17) ** 2) - ((y + 0.42) / 0.17) ** 2)
    values = 0.27 + 0.42 * cortex + 0.22 * nuclei
    return np.clip(np.maximum(values, 1.02 * tumor), 0, 1) * brain


def draw() -> Image.Image:
    """The icon at its final size, RGBA, with round corners."""
    pixels = SIZE * SCALE
    axis = (np.arange(pixels) + 0.5) / pixels * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    brain = u_brain(x, y)
    colors = 255 * perfusion_colors()[np.round(255 * blood_volume(brain, x, y)).astype(int)]
    colors[~brain] = BACKGROUND
    corner = 0.26
    inside = np.hypot(np.clip(np.abs(x) - 1 + corner, 0, None), np.clip(np.abs(y) - 1 + corner, 0, None)) < corner
    image = np.dstack([colors, 255 * inside]).round().astype(np.uint8)
    return Image.fromarray(image, "RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def main() -> None:
    icon = draw()
    for path in ICONS:
        icon.save(path, optimize=True)
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
