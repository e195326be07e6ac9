"""What the scanner does: the protocol, the gradient-echo EPI signal of relaxing spins, and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.phantom import constants as known
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.support.errors import InputError

#: The first frames in which the magnetization's approach to the steady state is seen.
_APPROACH_FRAMES = 5

#: Mean flip angle over a slice's profile, over the nominal one.
_FLIP_OVER_PROFILE = 0.85

#: Scanner units of average gray and white matter before the bolus.
_BRAIN_SIGNAL = 550.0

_RELAXATION_OF = {
    Tissue.AIR: "air",
    Tissue.SCALP: "scalp",
    Tissue.BONE: "bone",
    Tissue.FLUID: "fluid",
    Tissue.VENTRICLE: "fluid",
    Tissue.WHITE_LEFT: "white",
    Tissue.WHITE_RIGHT: "white",
    Tissue.CORTEX: "gray",
    Tissue.DEEP_GRAY: "gray",
    Tissue.CEREBELLAR_GRAY: "gray",
    Tissue.CEREBELLAR_WHITE: "white",
    Tissue.BRAIN_STEM: "white",
    Tissue.CHOROID_PLEXUS: "gray",
    Tissue.ARTERY: "artery",
    Tissue.VEIN: "vein",
    Tissue.TUMOR_CORE: "tumor",
    Tissue.TUMOR_RIM: "tumor",
    Tissue.EDEMA: "edema",
}


@dataclass(frozen=True)
class Protocol:
    """How the series is acquired. Times in s, lengths in mm, angles in degrees.

    :param field: 1.5 or 3 tesla
    :param repetition_time: also the time between frames, as in single-shot EPI
    :param preload: an earlier injection has shortened T1 where agent leaks, so that more of it brightens less; usual
        where the flip angle is 60 degrees or more
    :param arrival: when contrast agent reaches the arteries, s after the first frame
    :param temporal_snr: mean brain signal before the bolus over the noise's standard deviation; infinite for no noise
    :param slice_spacing: from slice to slice; `slice_thickness` of it is excited
    :param blur: in-plane point spread of EPI, standard deviation in voxels
    :param tilt: of the slices about the left-right axis
    :param deformation: strength of the head's random change of size and shape, 0 for none, 1 for up to 8 % and
        about 3 mm
    :param mirrored: exchange left and right
    :param shading: of the receive coil, relative
    :param drift: relative change of the signal over the whole series
    :param noise_blur: correlation of the noise between neighbors, standard deviation in voxels; 0 for none. What else
        `noise` can do: `noise_center`, how much stronger it is in the middle, and `physiological_noise`, both relative
    :param t1_scale: factor on every T1, for sources that measured others; likewise `t2_star_scale` and `r2_star_scale`
    """

    field: float = 3.0
    echo_time: float = 0.030
    repetition_time: float = 1.5
    flip_angle: float = 60.0
    preload: bool = True
    frames: int = 80
    arrival: float = 18.0
    temporal_snr: float = 70.0
    matrix: int = 128
    field_of_view: float = 230.0
    slices: int = 22
    slice_spacing: float = 5.0
    slice_thickness: float = 4.5
    blur: float = 0.45
    tilt: float = 4.0
    deformation: float = 0.0
    mirrored: bool = False
    shading: float = 0.12
    drift: float = 0.003
    noise_blur: float = 0.0
    noise_center: float = 0.0
    physiological_noise: float = 0.0
    t1_scale: float = 1.0
    t2_star_scale: float = 1.0
    r2_star_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.field not in (1.5, 3.0):
            raise InputError("field", f"{self.field:g} T is not in the table of constants", "choose 1.5 or 3")
        if self.slice_thickness > self.slice_spacing:
            raise InputError("slice thickness", "is larger than the slice spacing", "make it smaller")

    @property
    def flip(self) -> float:
        """Flip angle in radians, as the average spin of a slice feels it."""
        return float(np.radians(_FLIP_OVER_PROFILE * self.flip_angle))

    @property
    def r2_star(self) -> float:
        """Relaxivity of agent in tissue, 1/s/mM."""
        return self.r2_star_scale * (known.R2_STAR_3T if self.field == 3.0 else known.R2_STAR_1_5T).value

    @property
    def r1(self) -> float:
        """Longitudinal relaxivity, 1/s/mM."""
        return (known.R1_3T if self.field == 3.0 else known.R1_1_5T).value


def random_protocol(generator: np.random.Generator) -> Protocol:
    """Another scanner, another day: within what is recommended and usual."""
    field = 3.0 if generator.random() < 0.6 else 1.5
    spacing = generator.uniform(4.0, 5.5)
    repetition_time = generator.uniform(1.0, 2.0)
    arrival = generator.uniform(max(14.0, 10 * repetition_time), 26.0)  # ten frames of baseline
    shortest = int(np.ceil((arrival + 42) / repetition_time))
    # a low flip angle makes a preload needless, and a high one asks for it
    low_flip = generator.random() < 0.25
    return Protocol(
        field=field,
        echo_time=generator.uniform(0.020, 0.035) if field == 3.0 else generator.uniform(0.038, 0.045),
        repetition_time=repetition_time,
        flip_angle=30.0 if low_flip else generator.uniform(60.0, 80.0),
        preload=bool(generator.random() < (0.2 if low_flip else 0.85)),
        frames=int(generator.integers(max(60, shortest), 121)),
        arrival=arrival,
        temporal_snr=generator.uniform(40.0, 110.0),
        field_of_view=generator.uniform(220.0, 240.0),
        slices=int(generator.integers(20, 25)),
        slice_spacing=spacing,
        slice_thickness=spacing * generator.uniform(0.8, 1.0),
        blur=generator.uniform(0.3, 0.6),
        tilt=generator.uniform(-12.0, 12.0),
        deformation=1.0,
        mirrored=bool(generator.random() < 0.5),
        shading=generator.uniform(0.03, 0.2),
        drift=generator.uniform(-0.01, 0.01),
        # Reconstruction filters and regridding correlate neighbors in about half of the series.
        noise_blur=generator.uniform(0.15, 0.4) if generator.random() < 0.5 else 0.0,
        noise_center=generator.uniform(0.0, 0.2),
        physiological_noise=generator.uniform(0.0, 0.003),
        matrix=int(generator.choice([96, 104, 112, 120, 128])),
    )


def relaxation(tissue: Tissue, protocol: Protocol) -> tuple[float, float, float]:
    """T1 (s), T2* (s) and proton density of a tissue at the protocol's field."""
    row = known.RELAXATION[_RELAXATION_OF[tissue]]
    t1, t2_star = (row.t1_3t, row.t2_star_3t) if protocol.field == 3.0 else (row.t1_1_5t, row.t2_star_1_5t)
    return protocol.t1_scale * t1, protocol.t2_star_scale * t2_star, row.proton_density


def steady_state(r1: np.ndarray | float, protocol: Protocol) -> np.ndarray | float:
    """Transverse magnetization after each pulse, over that at equilibrium, with spoiling: the FLASH equation.

    :param r1: 1 / T1, 1/s
    """
    decay = np.exp(-protocol.repetition_time * r1)
    angle = protocol.flip
    return np.sin(angle) * (1 - decay) / (1 - np.cos(angle) * decay)


@dataclass(frozen=True, eq=False)
class Baseline:
    """Signal without contrast agent.

    :param signal: (Z, Y, X) float32, scanner units, in the steady state
    :param approach: (frames not in steady state, Z, Y, X) float32, what these frames have more than that
    :param enhancing: (Z, Y, X) float32, share of the voxel that agent leaks into, shortening its T1
    :param enhancing_signal: (Z, Y, X) float32, share of the signal that comes from there
    :param enhancing_r1: 1 / T1 of that tissue, 1/s
    """

    signal: np.ndarray
    approach: np.ndarray
    enhancing: np.ndarray
    enhancing_signal: np.ndarray
    enhancing_r1: float


def baseline(fractions: np.ndarray, shade: np.ndarray, protocol: Protocol, preloaded_r1: float = 0.0) -> Baseline:
    """Signal before contrast agent arrives, and the approach to its steady state.

    Frame n after the start has the steady state plus (sin(flip) - steady state) * (cos(flip) exp(-TR / T1))^n.

    :param fractions: (tissues, Z, Y, X)
    :param shade: (Z, Y, X) receive sensitivity, about 1
    :param preloaded_r1: what a preload has added to 1 / T1 of living tumor, 1/s
    """
    tumor_r1 = 1 / relaxation(Tissue.TUMOR_RIM, protocol)[0] + preloaded_r1
    angle = protocol.flip
    steady = np.zeros(fractions.shape[1:], dtype=np.float32)
    more = np.zeros((_APPROACH_FRAMES, *steady.shape), dtype=np.float32)
    enhancing = np.zeros_like(steady)
    for tissue in Tissue:
        t1, t2_star, density = relaxation(tissue, protocol)
        if density == 0:
            continue
        t1 = 1 / tumor_r1 if tissue == Tissue.TUMOR_RIM else t1
        level = np.exp(-protocol.echo_time / t2_star) * density
        in_steady_state = steady_state(1 / t1, protocol)
        part = fractions[tissue] * np.float32(level * in_steady_state)
        steady += part
        if tissue in (Tissue.TUMOR_RIM, Tissue.SCALP):
            enhancing += part
        kept = np.cos(angle) * np.exp(-protocol.repetition_time / t1)
        for frame in range(_APPROACH_FRAMES):
            excess = np.float32((np.sin(angle) / in_steady_state - 1) * kept**frame)
            if excess > 1e-4:
                more[frame] += excess * part
    share = np.divide(enhancing, steady, out=np.zeros_like(steady), where=steady > 0)
    units = np.float32(_BRAIN_SIGNAL / brain_level(protocol)) * shade
    volume = fractions[Tissue.TUMOR_RIM] + fractions[Tissue.SCALP]
    return Baseline(steady * units, more * units, volume, share, tumor_r1)


def brain_level(protocol: Protocol) -> float:
    """Baseline signal of half gray, half white matter, before scaling to scanner units."""
    levels = []
    for tissue in (Tissue.CORTEX, Tissue.WHITE_LEFT):
        t1, t2_star, density = relaxation(tissue, protocol)
        levels.append(density * steady_state(1 / t1, protocol) * np.exp(-protocol.echo_time / t2_star))
    return float(np.mean(levels))


def noise_level(protocol: Protocol) -> float:
    """Standard deviation of the noise in each of the two channels, scanner units."""
    return _BRAIN_SIGNAL / protocol.temporal_snr


def coil_shading(shape: tuple[int, int, int], protocol: Protocol, generator: np.random.Generator) -> np.ndarray:
    """(Z, Y, X) float32 receive sensitivity: brighter towards a randomly weighted rim, 1 on average over the middle."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    weights = generator.uniform(-1, 1, 3)
    field = 2 * (x**2 + y**2) - 0.5 + weights[0] * z + weights[1] * y + weights[2] * x
    return np.exp(protocol.shading * field).astype(np.float32)


def signal_of_slice(
    delta_r2_star: np.ndarray,
    delta_r1: np.ndarray,
    leaky: np.ndarray,
    before: Baseline,
    z: int,
    protocol: Protocol,
) -> np.ndarray:
    """Noise-free signal of one slice.

    S(t) = S0 * (steady state at the shortened T1 over that before) * exp(-TE * delta R2*(t))

    :param delta_r2_star: (T, Y, X) 1/s
    :param delta_r1: (T, V) 1/s in the enhancing tissue of the voxels where `leaky`
    :param leaky: (Y, X) bool, V of them true
    :param z: index of the slice in `before`
    :returns: (T, Y, X) float32
    """
    signal = np.exp(np.float32(-protocol.echo_time) * delta_r2_star)
    if leaky.any():
        ratio = steady_state(before.enhancing_r1 + delta_r1, protocol) / steady_state(before.enhancing_r1, protocol)
        signal[:, leaky] *= 1 + before.enhancing_signal[z][leaky] * (ratio - 1)
    signal *= before.signal[z]
    frames = min(len(before.approach), len(signal))
    signal[:frames] += before.approach[:frames, z]
    if protocol.drift:
        signal *= (1 + protocol.drift * np.linspace(-0.5, 0.5, len(signal), dtype=np.float32))[:, None, None]
    return signal.astype(np.float32, copy=False)


def add_noise(signal: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    """Rician noise: the magnitude of the signal plus complex normal noise. Works in place.

    :param signal: float32
    :param level: standard deviation of the noise's real and of its imaginary part
    """
    if level <= 0:
        return signal
    noise = generator.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.float32(level)
    signal += noise
    generator.standard_normal(out=noise, dtype=np.float32)
    noise *= np.float32(level)
    return np.hypot(signal, noise, out=signal)
