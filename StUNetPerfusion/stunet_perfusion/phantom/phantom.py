"""One person in one scanner: the phantom's truth, and series of it at any dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from stunet_perfusion.phantom import acquisition, lesion
from stunet_perfusion.phantom import constants as known
from stunet_perfusion.phantom.acquisition import Baseline, Protocol
from stunet_perfusion.phantom.anatomy import PARENCHYMA, Anatomy, Tissue
from stunet_perfusion.phantom.contrast import ArterialBolus, ResponseTable, convolve_residue, response_table
from stunet_perfusion.phantom.lagged_normal import LaggedNormalBolus
from stunet_perfusion.phantom.noise import add_scanner_noise
from stunet_perfusion.phantom.physiology import FlowMaps, Physiology, flow_maps, variation_fields
from stunet_perfusion.phantom.positioning import position_head, tissue_fractions
from stunet_perfusion.phantom.residues import RESIDUES
from stunet_perfusion.phantom.vessels import with_vessels
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError

#: The doses that the paper compares: full, half and quarter.
DOSES = (1.0, 0.5, 0.25)

#: A voxel with at least this share of artery is good for an AIF.
_ARTERIAL_SHARE = 0.35
_FEWEST_ARTERIAL_VOXELS = 8

#: A voxel with at least this share of white matter, opposite to the tumor, is normal-appearing white matter.
_WHITE_SHARE = 0.9

#: Delays longer than this do not occur, s.
_LONGEST_DELAY = 8.0

#: Share of plasma in arterial blood: leaked agent comes from plasma.
_PLASMA_SHARE = 0.55


@dataclass(frozen=True, eq=False)
class Phantom:
    """A head whose perfusion is known. Arrays are (Z, Y, X) on `grid`.

    Conventions: tissue has delta R2*(t) = CBF * (AIF conv R)(t), R(0) = 1, with CBF = CBV / MTT in 1/s and CBV a
    fraction, so that the areas' quotient is CBV and deconvolution with `aif` gives CBF. Relaxivity is the same linear
    constant everywhere, except that blood in large vessels has `physiology.blood_relaxivity` times that: there the
    truth counts CBV by that factor, as the quotient of areas sees it. `aif` has the relaxivity of tissue, so an AIF
    measured in a voxel is `aif` times that voxel's CBV, and CBV maps made with it differ by this one factor.

    :param cbv: truth, fraction: float32
    :param cbf: truth, 1/s: float32
    :param mtt: truth, s: float32
    :param mask: brain: bool
    :param tumor: living tumor and its core, without edema: bool
    :param nawm: normal-appearing white matter, opposite to the tumor: bool
    :param vessels: voxels good for an AIF: bool
    :param aif: (T,) float64, delta R2* in 1/s at full dose, one value a frame
    """

    grid: Grid
    physiology: Physiology
    protocol: Protocol
    seed: int
    cbv: np.ndarray
    cbf: np.ndarray
    mtt: np.ndarray
    mask: np.ndarray
    tumor: np.ndarray
    nawm: np.ndarray
    vessels: np.ndarray
    aif: np.ndarray
    flow: FlowMaps = field(repr=False)
    baseline: Baseline = field(repr=False)
    fractions: np.ndarray = field(repr=False)
    responses: ResponseTable = field(repr=False)
    leaked: np.ndarray = field(repr=False)
    slices: np.ndarray = field(repr=False)

    @property
    def echo_time(self) -> float:
        """TE, s."""
        return self.protocol.echo_time

    @property
    def frame_interval(self) -> float:
        """Time between frames, s."""
        return self.protocol.repetition_time

    def delta_r2_star(self, z: int) -> np.ndarray:
        """delta R2* of one slice at full dose, without what leaks: (T, Y, X) float32, 1/s."""
        flow = self.flow
        shape = self.cbv.shape[1:]
        curves = np.zeros((self.protocol.frames, shape[0] * shape[1]), dtype=np.float32)
        for amount, transit, delay in (
            (flow.tissue_cbv, flow.tissue_mtt, flow.tissue_delay),
            (flow.artery, np.broadcast_to(np.float32(0), flow.artery.shape), np.zeros_like(flow.artery)),
            (
                flow.vein,
                np.broadcast_to(np.float32(self.physiology.venous_transit * 0.6), flow.vein.shape),
                flow.venous_delay,
            ),
        ):
            there = np.flatnonzero(amount[z].ravel() > 1e-5)
            read = self.responses.read(transit[z].ravel()[there], delay[z].ravel()[there])
            curves[:, there] += read * amount[z].ravel()[there]
        return curves.reshape(-1, *shape)

    def series(self, dose: float = 1.0, *, noise: bool = True) -> DscSeries:
        """The series as acquired at a share `dose` of the injected dose.

        Concentrations scale with dose. Noise has the same strength at any dose, and its own stream for each dose and
        slice. With noise the signal is in whole numbers, as scanners store it.

        :raises InputError: the dose is not above 0 and at most 2
        """
        if not 0 < dose <= 2:
            raise InputError("dose", f"{dose:g} is not above 0 and at most 2", "give for example 0.5 for half the dose")
        frames = self.protocol.frames
        signal = np.empty((frames, *self.grid.shape), dtype=np.float32)
        relaxivity = self.protocol.r2_star
        for n, z in enumerate(self.slices):
            change = self.delta_r2_star(n)
            leaky = self.flow.leakage[n] > 0
            leaked = self.leaked.astype(np.float32)[:, None] * self.flow.leakage[n][leaky]
            change[:, leaky] += leaked * np.float32(relaxivity * self.physiology.leakage_relaxivity)
            change *= np.float32(dose)
            # all that leaked is in the enhancing part of the voxel
            leaked *= np.float32(dose * self.protocol.r1) / self.baseline.enhancing[n][leaky]
            clean = acquisition.signal_of_slice(change, leaked, leaky, self.baseline, n, self.protocol)
            if noise:
                generator = np.random.default_rng([self.seed, round(1000 * dose), int(z)])
                add_scanner_noise(clean, self.protocol, generator)
                np.rint(clean, out=clean)  # scanners store whole numbers
            signal[:, n] = clean
        return DscSeries(
            signal=signal,
            times=np.arange(frames) * self.protocol.repetition_time,
            grid=self.grid,
            echo_time=self.protocol.echo_time,
            name=f"phantom at dose {dose:g}",
        )


def make_phantom(
    anatomy: Anatomy,
    *,
    tumor: np.ndarray | str | None = None,
    physiology: Physiology | None = None,
    protocol: Protocol | None = None,
    seed: int = 0,
    slices: Sequence[int] | None = None,
) -> Phantom:
    """Put a person with the given flow into a scanner.

    :param tumor: (Z, Y, X) mask on the anatomy's grid, "random", or None for none
    :param physiology: defaults to the average person
    :param protocol: defaults to 3 T, TE 30 ms, TR 1.5 s, 22 slices
    :param seed: of everything random; the same seed gives the same phantom
    :param slices: evenly spaced indices of the only slices wanted; their series and truth are those of the whole head
    """
    physiology = physiology or Physiology()
    protocol = protocol or Protocol()
    # one stream a step, so that a choice in one does not change the others
    place, vessel, body, lump, coil = (np.random.default_rng([seed, 7000 + n]) for n in range(5))
    chosen = _chosen(slices, protocol.slices)
    if isinstance(tumor, str):
        if tumor != "random":
            raise InputError("tumor", f"'{tumor}' is no mask", "give a mask, 'random', or nothing")
        tumor = lesion.random_tumor(anatomy, lump)
    if tumor is not None:
        if tumor.shape != anatomy.tissue.shape:
            raise InputError("tumor", f"has shape {tumor.shape}, the anatomy {anatomy.tissue.shape}", "resample it")
        rim = physiology.rim if physiology.necrosis else np.inf
        anatomy = lesion.with_tumor(anatomy, tumor, rim, physiology.edema, lump)
    anatomy = with_vessels(anatomy, vessel)

    position = position_head(anatomy, protocol, place)
    fractions = tissue_fractions(anatomy, position, protocol, chosen)
    spacing = position.grid.spacing[::-1]
    fields = variation_fields(position.grid.shape, spacing, body)
    flow = flow_maps(fractions, {name: values[chosen] for name, values in fields.items()}, physiology)
    shade = acquisition.coil_shading(position.grid.shape, protocol, coil)[chosen]
    bolus = _arterial_bolus(physiology, protocol)
    times = np.arange(protocol.frames) * protocol.repetition_time
    responses = response_table(
        bolus,
        protocol.frames,
        protocol.repetition_time,
        shape=physiology.transit_shape,
        longest_delay=_LONGEST_DELAY,
        residue=RESIDUES[physiology.residue],
    )
    preloaded = known.PRELOAD_PLASMA.value * physiology.leakage_ve if protocol.preload and physiology.k_trans else 0.0
    tumor_mask = fractions[Tissue.TUMOR_CORE] + fractions[Tissue.TUMOR_RIM] > 0.5
    return Phantom(
        grid=_grid_of(position.grid, chosen),
        physiology=physiology,
        protocol=protocol,
        seed=seed,
        cbv=flow.cbv,
        cbf=flow.cbf,
        mtt=flow.mtt,
        mask=_brain(fractions),
        tumor=tumor_mask,
        nawm=_normal_white_matter(fractions, anatomy),
        vessels=_arterial_voxels(fractions),
        aif=bolus(times),
        flow=flow,
        baseline=acquisition.baseline(fractions, shade, protocol, preloaded * protocol.r1),
        fractions=fractions,
        responses=responses,
        leaked=_leaked(bolus, times, physiology, protocol),
        slices=chosen,
    )


def _chosen(slices: Sequence[int] | None, count: int) -> np.ndarray:
    if slices is None:
        return np.arange(count)
    chosen = np.asarray(list(slices), dtype=int)
    steps = np.diff(chosen)
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= count or (steps <= 0).any() or (steps != steps[:1]).any():
        raise InputError("slices", f"{chosen.tolist()} are not evenly spaced within 0 to {count - 1}", "choose others")
    return chosen


def _grid_of(grid: Grid, chosen: np.ndarray) -> Grid:
    """The grid of evenly spaced slices of another grid."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * chosen[0]
    if len(chosen) > 1:
        matrix[:3, 2] *= chosen[1] - chosen[0]
    return Grid((len(chosen), *grid.shape[1:]), matrix)


def _arterial_bolus(physiology: Physiology, protocol: Protocol) -> ArterialBolus | LaggedNormalBolus:
    common = {
        "arrival": protocol.arrival,
        "peak": physiology.arterial_peak * protocol.r2_star,
        "recirculation_delay": physiology.recirculation_delay,
        "recirculation": physiology.recirculation,
        "tail": physiology.tail,
        "tail_decay": physiology.tail_decay,
    }
    if physiology.aif_model == "lagged-normal":
        return LaggedNormalBolus(width=physiology.bolus_width, lag=physiology.bolus_lag, **common)
    return ArterialBolus(alpha=physiology.aif_alpha, beta=physiology.aif_beta, **common)


def _leaked(
    bolus: ArterialBolus | LaggedNormalBolus, times: np.ndarray, physiology: Physiology, protocol: Protocol
) -> np.ndarray:
    """(T,) mM of agent outside vessels where K_trans is 1/s: plasma concentration convolved with exp(-K_trans t / ve).

    The washout rate is that of the tumor's mean K_trans everywhere, which makes one curve enough.
    """
    rate = max(physiology.k_trans, 0.02) / 60 / physiology.leakage_ve
    steps_per_frame = int(np.ceil(protocol.repetition_time / 0.125))
    step = protocol.repetition_time / steps_per_frame
    fine = np.arange((len(times) - 1) * steps_per_frame + 1) * step
    plasma = bolus(fine) / protocol.r2_star / _PLASMA_SHARE
    return (convolve_residue(plasma, step, np.array([[1 / rate]]))[0] / rate)[::steps_per_frame]


def _brain(fractions: np.ndarray) -> np.ndarray:
    """Voxels that are mostly brain, with the sulci and ventricles between, slice by slice."""
    share = sum(fractions[tissue] for tissue in (*PARENCHYMA, Tissue.VENTRICLE, Tissue.CHOROID_PLEXUS))
    disk = np.hypot(*np.mgrid[-3:4, -3:4]) <= 3.2
    result = np.empty(share.shape, dtype=bool)
    for z, image in enumerate(share):
        closed = ndimage.binary_closing(np.pad(image > 0.5, 4), disk)[4:-4, 4:-4]
        result[z] = ndimage.binary_fill_holes(closed)
    return result


def _normal_white_matter(fractions: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """White matter of the hemisphere that has less tumor; of both where there is none."""
    left, right = fractions[Tissue.WHITE_LEFT], fractions[Tissue.WHITE_RIGHT]
    lump = np.argwhere((anatomy.tissue == Tissue.TUMOR_RIM) | (anatomy.tissue == Tissue.TUMOR_CORE))
    if not len(lump):
        return left + right > _WHITE_SHARE
    white_left = np.argwhere(anatomy.tissue[:, :, ::4] == Tissue.WHITE_LEFT)[:, 2].mean() * 4
    white_right = np.argwhere(anatomy.tissue[:, :, ::4] == Tissue.WHITE_RIGHT)[:, 2].mean() * 4
    on_left = (lump[:, 2].mean() > (white_left + white_right) / 2) == (white_left > white_right)
    return (right if on_left else left) > _WHITE_SHARE


def _arterial_voxels(fractions: np.ndarray) -> np.ndarray:
    """Voxels with much artery and hardly any vein; the fullest few where none has much."""
    share = np.where(fractions[Tissue.VEIN] < 0.05, fractions[Tissue.ARTERY], 0)
    enough = np.sort(share, axis=None)[-min(_FEWEST_ARTERIAL_VOXELS, share.size)]
    return (share >= min(_ARTERIAL_SHARE, enough)) & (share > 0.02)
