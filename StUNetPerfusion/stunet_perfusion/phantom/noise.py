"""Noise with a texture: correlated between neighbors, stronger where coils are far, and noise that the body makes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stunet_perfusion.phantom.acquisition import Protocol, add_noise, noise_level

#: Correlation of physiological noise from frame to frame, and its extent in the plane in voxels.
_FRAME_CORRELATION = 0.6
_PHYSIOLOGICAL_EXTENT = 6.0


def add_scanner_noise(signal: np.ndarray, protocol: Protocol, generator: np.random.Generator) -> np.ndarray:
    """The noise of one slice as the protocol says. Works in place.

    Without texture it is `add_noise`. Otherwise the two channels are smoothed over neighbors by `noise_blur` and
    scaled back to their strength, as filtering in k-space leaves them, and multiplied by a factor that rises by
    `noise_center` from the edge to the middle of the image, as parallel imaging does; the body adds fluctuations of
    the signal by `physiological_noise`, which last over some frames and over some centimeters.

    :param signal: (T, Y, X) float32, noise-free
    """
    level = noise_level(protocol)
    if not (protocol.noise_blur or protocol.noise_center or protocol.physiological_noise):
        return add_noise(signal, level, generator)
    if protocol.physiological_noise:
        signal *= 1 + np.float32(protocol.physiological_noise) * _fluctuation(signal.shape, generator)
    strength = np.float32(level) * _strength(signal.shape[1:], protocol.noise_center)
    real, imaginary = (strength * _smooth_noise(signal.shape, protocol.noise_blur, generator) for _ in range(2))
    signal += real
    return np.hypot(signal, imaginary, out=signal)


def _smooth_noise(shape: tuple[int, ...], blur: float, generator: np.random.Generator) -> np.ndarray:
    """(T, Y, X) float32 normal noise of variance 1, smoothed in the plane."""
    noise = generator.standard_normal(shape, dtype=np.float32)
    if not blur:
        return noise
    point = np.zeros((33, 33))
    point[16, 16] = 1
    kernel = ndimage.gaussian_filter(point, blur)
    smooth = ndimage.gaussian_filter(noise, (0, blur, blur), mode="wrap")
    return smooth / np.float32(np.sqrt((kernel**2).sum()))


def _strength(shape: tuple[int, int], center: float) -> np.ndarray:
    """(Y, X) float32: 1 at the edge of the image, 1 + `center` in the middle."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    return 1 + np.float32(center) * np.maximum(1 - y[:, None] ** 2 - x**2, 0)


def _fluctuation(shape: tuple[int, int, int], generator: np.random.Generator) -> np.ndarray:
    """(T, Y, X) float32 of variance about 1: a course in time by autoregression, times a smooth pattern."""
    steps = generator.standard_normal(shape[0])
    course = np.empty(shape[0])
    course[0] = steps[0]
    for frame in range(1, shape[0]):
        course[frame] = _FRAME_CORRELATION * course[frame - 1] + np.sqrt(1 - _FRAME_CORRELATION**2) * steps[frame]
    pattern = ndimage.gaussian_filter(generator.standard_normal(shape[1:]), _PHYSIOLOGICAL_EXTENT, mode="wrap")
    pattern /= max(float(np.sqrt((pattern**2).mean())), 1e-6)
    return (course[:, None, None] * pattern).astype(np.float32)
