"""Small DSC series whose every number is known in closed form."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.series import DscSeries, Grid

#: The tilt of a brain protocol's slices against the axial plane.
_TILT = np.deg2rad(20.0)


def oblique_grid(shape: tuple[int, int, int], spacing: tuple[float, float, float] = (2.0, 2.0, 5.0)) -> Grid:
    """A grid of slices that are tilted by 20 degrees about the left-right axis.

    :param shape: (Z, Y, X)
    :param spacing: mm along i, j, k
    """
    cosine, sine = np.cos(_TILT), np.sin(_TILT)
    direction = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    return Grid.from_lps(shape, np.array([-20.5, -31.25, 12.75]), np.array(spacing), direction)


def gamma_variate(times: np.ndarray, arrival: float, time_to_peak: float, alpha: float = 3.0) -> np.ndarray:
    """A first pass that is 0 until `arrival`, 1 at `arrival + time_to_peak`, and 0 again after it.

    :param times: (T,) seconds
    :param arrival: seconds
    :param time_to_peak: seconds from arrival to peak
    :returns: (T,) (x exp(1 - x))^alpha with x = (t - arrival) / time_to_peak
    """
    x = np.clip((np.asarray(times, dtype=float) - arrival) / time_to_peak, 0, None)
    return (x * np.exp(1 - x)) ** alpha


def make_series(
    frames: int = 40,
    shape: tuple[int, int, int] = (4, 24, 20),
    frame_interval: float = 1.5,
    *,
    grid: Grid | None = None,
    arrival: float = 16.0,
    time_to_peak: float = 5.0,
    peak: float = 40.0,
    echo_time: float | None = 0.03,
    baseline_signal: float = 600.0,
    unsteady_frames: int = 0,
    noise: float = 0.0,
    seed: int = 0,
    name: str = "synthetic",
) -> DscSeries:
    """An ellipsoid of tissue in air through which a gamma-variate bolus passes.

    `S(t) = S0 exp(-TE deltaR2*(t))`, where S0 and the peak of delta R2* both fall smoothly from the left of the head
    (`baseline_signal`, `peak`) to the right (half of them), and the signal is 0 outside it.

    :param arrival: seconds, bolus arrival
    :param time_to_peak: seconds from arrival to peak
    :param peak: largest delta R2*, 1/s
    :param echo_time: seconds; None makes a series that does not know its TE (the signal is made with 0.03 s)
    :param unsteady_frames: that many frames at the start are 20 %, 4 %, 0.8 % ... above the steady state
    :param noise: standard deviation of the Rician noise, in units of the signal
    """
    times = np.arange(frames) * frame_interval
    head, side = _head(shape)
    delta_r2star = peak * gamma_variate(times, arrival, time_to_peak)
    te = 0.03 if echo_time is None else echo_time
    signal = (baseline_signal * head * side) * np.exp(-te * side * delta_r2star[:, None, None, None])
    for frame in range(unsteady_frames):
        signal[frame] *= 1 + 0.2 ** (frame + 1)
    if noise:
        generator = np.random.default_rng(seed)
        real, imaginary = noise * generator.standard_normal((2, *signal.shape))
        signal = np.hypot(signal + real, imaginary)
    return DscSeries(signal.astype(np.float32), times, grid or oblique_grid(shape), echo_time, name)


def head_of(shape: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) bool: the ellipsoid that `make_series` fills with tissue."""
    return _head(shape)[0]


def _head(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The ellipsoid, and a factor that falls from 1 at the first column to 0.5 at the last."""
    z, y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape)
    head = (z[:, None, None] / 1.5) ** 2 + (y[:, None] / 0.8) ** 2 + (x / 0.7) ** 2 <= 1
    return head, np.broadcast_to(0.75 - 0.25 * x, shape)
