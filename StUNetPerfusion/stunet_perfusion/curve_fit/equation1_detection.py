"""What Equation 1 leaves of itself in a series: by it the share of the dose that was kept can be told, and all undone.

Equation 1 takes (1 - d) of a moving average away from a signal, and with it slow noise, but hardly any fast noise.
White noise comes out of it as noise that runs against itself from frame to frame, the more so the less dose is kept. A
scan has no such noise, at no dose: so a series that bears no trace was injected as it is, or its lower dose was
simulated otherwise. Nothing but noise is looked at. Noise of real scans is not quite white: where a quarter was kept of
two, 0.28 and 0.38 were read, and 0.58 and 0.77 for a half; phantoms are read to 0.05.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from stunet_perfusion.curve_fit.curve_noise import brain_noise_covariance
from stunet_perfusion.dose.simulate import moving_average
from stunet_perfusion.preprocessing.bolus import end_of_first_pass
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: Frames of the moving average of Equation 1, as the paper has it.
_WINDOW = 5

#: A lower dose is not looked for; and one beyond this is not told from the full one.
_LEAST_SHARE, _FULL = 0.01, 0.95

#: Correlation of noise with that of frames that Equation 1 does not reach, and how far that with the others is below.
_FAR_AGAINST, _NEAR_AGAINST = 0.05, 0.06

#: Fewer frames without bolus tell nothing.
_FEWEST_FRAMES = 14

#: A series that has kept less than this bears the trace without doubt, where so many voxels of the brain say so.
_DOUBTLESS, _FEWEST_VOXELS = 0.8, 1000


def notes_on_equation1(prepared: PreparedSeries) -> list[str]:
    """A sentence, where a series bears the trace: whoever takes it for a scan would take its noise for that of one."""
    if np.count_nonzero(prepared.brain) < _FEWEST_VOXELS or _quiet_frames(prepared) < _FEWEST_FRAMES:
        return []
    texture = brain_noise_covariance(prepared)
    if dose_from_noise(texture) >= _DOUBTLESS or not has_the_pattern(texture):
        return []
    return [
        "The noise is that of a series whose dose was lowered by Equation 1 of the paper: a simulation, less noisy "
        "than a scan of that dose."
    ]


def has_the_pattern(texture: np.ndarray) -> bool:
    """Whether noise runs against that of the next two frames, and not of those after them: that is Equation 1's mark.

    In a short series what is taken away for drift and bolus leaves noise that runs against itself at all distances.

    :param texture: as `dose_from_noise`
    """
    of_scanner = texture[0] - texture[-1]
    if not of_scanner[0] > 0 or len(of_scanner) < _WINDOW:
        return False
    near, far = of_scanner[1:3] / of_scanner[0], of_scanner[3:_WINDOW] / of_scanner[0]
    return bool(far.min() > -_FAR_AGAINST and near.mean() < far.mean() - _NEAR_AGAINST and near.max() < -_FAR_AGAINST)


def _quiet_frames(prepared: PreparedSeries) -> int:
    """Frames in which hardly anything but noise is seen."""
    frames = prepared.series.frames
    return prepared.bolus.arrival + frames - end_of_first_pass(prepared.bolus, frames)


def dose_from_noise(texture: np.ndarray) -> float:
    """The share of the dose that Equation 1 has kept in a series, in (0, 1]; 1 where it was hardly applied, if at all.

    Noise of the body lasts over frames, too, but over many voxels as well: what voxels have in common that are some
    apart is taken away first.

    :param texture: (neighbors, lags) covariances of the noise, as `noise_covariance`
    :returns: 1 where nothing can be told
    """
    of_scanner = texture[0] - texture[-1]
    if not of_scanner[0] > 0:
        return 1.0
    seen = of_scanner[1:_WINDOW] / of_scanner[0]
    seen = np.pad(seen, (0, _WINDOW - 1 - len(seen)))

    def misfit(share: float) -> float:
        return float(np.square(seen - correlations_after(share)).sum())

    share = float(minimize_scalar(misfit, bounds=(_LEAST_SHARE, 1.0), method="bounded").x)
    return share if share < _FULL else 1.0


def correlations_after(share: float) -> np.ndarray:
    """(4,) correlations 1 to 4 frames apart of what was white noise, by the weights that Equation 1 adds it up with.

    :param share: of the dose that is kept
    """
    weights = np.full(_WINDOW, (share - 1) / _WINDOW)
    weights[_WINDOW // 2] += 1
    covariances = np.correlate(weights, weights, "full")[_WINDOW - 1 :]
    return covariances[1:] / covariances[0]


def undo_equation1(signal: np.ndarray, baseline_frames: int, share: float) -> np.ndarray:
    """The series at full dose that Equation 1 made this one of: the inverse of a linear filter.

    :param signal: (T, ...) steady frames only
    :param baseline_frames: that S0 is the mean of
    :param share: of the dose that was kept, in (0, 1]
    :returns: the shape of `signal`, float32; where the simulation cut at 0, what was cut stays lost. The signal itself
        where all was kept.
    """
    if share == 1:
        return signal
    each_frame = np.eye(len(signal))
    taken = moving_average(each_frame, _WINDOW) - each_frame[:baseline_frames].mean(axis=0)
    inverse = np.linalg.inv(each_frame - (1 - share) * taken)
    return np.tensordot(inverse.astype(np.float32), signal, axes=1)
