"""How the blood flows: numbers for one person, and from them smooth maps of CBV, transit time and delay."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from stunet_perfusion.phantom import constants as known
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.phantom.constants import absolute_to_fraction


@dataclass(frozen=True)
class Physiology:
    """Numbers for one person. CBV in ml/100 g, times in s, rates in 1/min.

    :param white_cbv: CBV of white matter; tumor CBV is in multiples of it
    :param variation: standard deviation of the smooth variation inside a tissue, relative
    :param fine_variation: the same from voxel to voxel
    :param transit_shape: shape of the distribution of transit times; 1 is the exponential residue function
    :param largest_delay: of tissue after the arteries, s
    :param blood_relaxivity: r2* of blood in vessels large enough to see, over r2* of tissue. The truth counts such
        blood by this factor, because that is what the quotient of areas measures: with 1, a voxel full of blood has
        CBV 1
    :param residue: kind of residue function, a name of `residues.RESIDUES`
    :param side_delay: how much later blood arrives in the half of the image with the higher columns, s
    :param aif_model: `gamma-variate` with `aif_alpha` and `aif_beta`, or `lagged-normal` with `bolus_width` and
        `bolus_lag`, s
    :param arterial_peak: concentration at the AIF's peak, mM
    :param tumor_nrcbv: of living tumor, in multiples of white matter; likewise core and edema
    :param necrosis: whether the tumor has a necrotic core, mm `rim` below its surface
    :param k_trans: leakage of the tumor, 1/min, 0 for none
    :param leakage_relaxivity: r2* of leaked agent over r2* of tissue: the more, the more T2*-dominant the leakage
    """

    gray_cbv: float = known.GRAY_CBV.value
    white_cbv: float = known.GRAY_CBV.value / known.GRAY_TO_WHITE_CBV.value
    deep_gray_cbv: float = known.DEEP_GRAY_CBV.value
    cerebellar_gray_cbv: float = known.CEREBELLAR_GRAY_CBV.value
    brain_stem_cbv: float = known.BRAIN_STEM_CBV.value
    choroid_plexus_cbv: float = known.CHOROID_PLEXUS_CBV.value
    gray_mtt: float = known.GRAY_MTT.value
    white_mtt: float = known.WHITE_MTT.value
    variation: float = 0.10
    fine_variation: float = 0.03
    transit_shape: float = 1.0
    residue: str = "gamma"
    largest_delay: float = 1.8
    side_delay: float = 0.0
    venous_transit: float = known.VENOUS_TRANSIT.value
    blood_relaxivity: float = known.BLOOD_RELAXIVITY_SHARE.value
    aif_model: str = "gamma-variate"
    bolus_width: float = 2.0
    bolus_lag: float = 3.0
    arterial_peak: float = known.AIF_PEAK.value
    aif_alpha: float = known.AIF_ALPHA.value
    aif_beta: float = known.AIF_BETA.value
    recirculation_delay: float = known.RECIRCULATION_DELAY.value
    recirculation: float = known.RECIRCULATION_PEAK.value
    tail: float = known.TAIL.value
    tail_decay: float = known.TAIL_DECAY.value
    tumor_nrcbv: float = known.HIGH_GRADE_NRCBV.value
    core_nrcbv: float = known.CORE_NRCBV.value
    edema_nrcbv: float = 0.9
    tumor_mtt: float = known.TUMOR_MTT.value
    tumor_variation: float = 0.25
    necrosis: bool = True
    rim: float = 6.0
    edema: float = 9.0
    k_trans: float = known.LEAKAGE_K_TRANS_T1.value
    leakage_ve: float = known.LEAKAGE_VE.value
    leakage_relaxivity: float = known.LEAKAGE_R2_SHARE.value


def random_physiology(generator: np.random.Generator, high_grade: bool | None = None) -> Physiology:
    """Another person: blood volumes, flow, AIF and tumor drawn from the table of constants.

    :param high_grade: of the tumor; drawn too where None
    """
    drawn_grade = generator.random() < 0.65
    high_grade = drawn_grade if high_grade is None else high_grade
    gray = known.GRAY_CBV.draw(generator)
    ratio = known.GRAY_TO_WHITE_CBV.draw(generator, 1.2)
    nrcbv = (known.HIGH_GRADE_NRCBV if high_grade else known.LOW_GRADE_NRCBV).draw(generator, 2.0)
    edema = (known.HIGH_GRADE_EDEMA_NRCBV if high_grade else known.LOW_GRADE_EDEMA_NRCBV).draw(generator)
    leakage = generator.choice(["none", "t1", "t2"], p=[0.2, 0.5, 0.3] if high_grade else [0.8, 0.1, 0.1])
    return replace(
        Physiology(),
        gray_cbv=gray,
        white_cbv=gray / ratio,
        deep_gray_cbv=gray / known.GRAY_CBV.value * known.DEEP_GRAY_CBV.draw(generator),
        cerebellar_gray_cbv=gray / known.GRAY_CBV.value * known.CEREBELLAR_GRAY_CBV.draw(generator),
        brain_stem_cbv=gray / known.GRAY_CBV.value * known.BRAIN_STEM_CBV.draw(generator),
        choroid_plexus_cbv=known.CHOROID_PLEXUS_CBV.draw(generator),
        gray_mtt=known.GRAY_MTT.draw(generator),
        white_mtt=known.WHITE_MTT.draw(generator),
        variation=generator.uniform(0.05, 0.15),
        fine_variation=generator.uniform(0.01, 0.05),
        transit_shape=1.0 if generator.random() < 0.5 else generator.uniform(1.0, 4.0),
        largest_delay=generator.uniform(1.0, 2.0),
        venous_transit=known.VENOUS_TRANSIT.draw(generator),
        blood_relaxivity=known.BLOOD_RELAXIVITY_SHARE.draw(generator),
        arterial_peak=known.AIF_PEAK.draw(generator),
        aif_alpha=known.AIF_ALPHA.draw(generator),
        aif_beta=known.AIF_BETA.draw(generator),
        recirculation_delay=known.RECIRCULATION_DELAY.draw(generator),
        recirculation=known.RECIRCULATION_PEAK.draw(generator),
        tail=known.TAIL.draw(generator),
        tail_decay=known.TAIL_DECAY.draw(generator),
        tumor_nrcbv=max(nrcbv, 0.6),
        core_nrcbv=known.CORE_NRCBV.draw(generator),
        edema_nrcbv=edema if generator.random() < 0.4 else generator.uniform(0.6, 1.1),
        tumor_mtt=known.TUMOR_MTT.draw(generator),
        tumor_variation=generator.uniform(0.1, 0.35),
        necrosis=bool(high_grade and generator.random() < 0.75),
        rim=generator.uniform(3.5, 8.0),
        edema=generator.uniform(3.0, 14.0),
        k_trans={
            "none": 0.0,
            "t1": known.LEAKAGE_K_TRANS_T1.draw(generator),
            "t2": known.LEAKAGE_K_TRANS_T2.draw(generator),
        }[leakage],
        leakage_ve=known.LEAKAGE_VE.draw(generator),
        leakage_relaxivity=known.LEAKAGE_R2_SHARE.draw(generator) * (2.0 if leakage == "t2" else 0.5),
    )


@dataclass(frozen=True, eq=False)
class FlowMaps:
    """What flows in each voxel of the EPI grid. All (Z, Y, X) float32.

    Three kinds of blood: in tissue, in arteries and in veins; a voxel can have all of them.

    :param tissue_cbv: fraction; `tissue_mtt` and `tissue_delay` in s
    :param artery: CBV of arteries as seen by T2*: fraction of the voxel times relaxivity share
    :param vein: the same of veins
    :param venous_delay: s
    :param leakage: share of the voxel that leaks, times K_trans in 1/s
    :param tissue_cbf: 1/s
    """

    tissue_cbv: np.ndarray
    tissue_cbf: np.ndarray
    tissue_mtt: np.ndarray
    tissue_delay: np.ndarray
    artery: np.ndarray
    vein: np.ndarray
    venous_delay: np.ndarray
    leakage: np.ndarray

    @property
    def cbv(self) -> np.ndarray:
        """CBV as a fraction: area of the tissue curve over area of the AIF."""
        return self.tissue_cbv + self.artery + self.vein

    @property
    def cbf(self) -> np.ndarray:
        """CBF, 1/s. Blood in large vessels counts with a transit time of 1 s, by convention."""
        return self.tissue_cbf + (self.artery + self.vein) / np.float32(known.LARGE_VESSEL_MTT.value)

    @property
    def mtt(self) -> np.ndarray:
        """MTT = CBV / CBF, s; 0 where there is no flow."""
        cbf = self.cbf
        return np.divide(self.cbv, cbf, out=np.zeros_like(cbf), where=cbf > 0)


def smooth_field(
    shape: tuple[int, int, int], spacing: np.ndarray, length: float, generator: np.random.Generator
) -> np.ndarray:
    """(Z, Y, X) float32 random field, mean 0 and standard deviation 1, correlated over about `length` mm."""
    noise = generator.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(noise, length / spacing, mode="wrap")
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def flow_maps(fractions: np.ndarray, fields: dict[str, np.ndarray], physiology: Physiology) -> FlowMaps:
    """Maps on the EPI grid from the share that every tissue has in each voxel.

    :param fractions: (tissues, Z, Y, X) float32
    :param fields: random fields as `variation_fields` makes them, on the same grid
    """
    person = physiology
    cbv = {
        Tissue.WHITE_LEFT: person.white_cbv,
        Tissue.WHITE_RIGHT: person.white_cbv,
        Tissue.CEREBELLAR_WHITE: person.white_cbv,
        Tissue.CORTEX: person.gray_cbv,
        Tissue.DEEP_GRAY: person.deep_gray_cbv,
        Tissue.CEREBELLAR_GRAY: person.cerebellar_gray_cbv,
        Tissue.BRAIN_STEM: person.brain_stem_cbv,
        Tissue.CHOROID_PLEXUS: person.choroid_plexus_cbv,
        Tissue.FLUID: known.FLUID_CBV.value,
        Tissue.VENTRICLE: known.FLUID_CBV.value,
        Tissue.SCALP: known.SCALP_CBV.value,
        Tissue.TUMOR_RIM: person.tumor_nrcbv * person.white_cbv,
        Tissue.TUMOR_CORE: person.core_nrcbv * person.white_cbv,
        Tissue.EDEMA: person.edema_nrcbv * person.white_cbv,
    }
    transit = dict.fromkeys(cbv, person.gray_mtt)
    transit |= dict.fromkeys(
        (Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT, Tissue.CEREBELLAR_WHITE, Tissue.BRAIN_STEM), person.white_mtt
    )
    transit |= dict.fromkeys((Tissue.TUMOR_RIM, Tissue.TUMOR_CORE, Tissue.EDEMA), person.tumor_mtt)
    transit[Tissue.SCALP] = known.SCALP_MTT.value

    brain = 1 + person.variation * fields["volume"] + person.fine_variation * fields["fine"]
    tumor = brain + person.tumor_variation * fields["tumor"]
    slowness = 1 + 0.6 * person.variation * fields["transit"]
    volume = np.zeros(fractions.shape[1:], dtype=np.float32)
    flow = np.zeros_like(volume)
    for tissue, value in cbv.items():
        varied = tumor if tissue in (Tissue.TUMOR_RIM, Tissue.TUMOR_CORE) else brain
        part = fractions[tissue] * np.maximum(varied, 0.15) * np.float32(absolute_to_fraction(value))
        volume += part
        flow += part / (np.maximum(slowness, 0.5) * np.float32(transit[tissue]))
    white = fractions[Tissue.WHITE_LEFT] + fractions[Tissue.WHITE_RIGHT]
    delay = person.largest_delay * np.clip(0.45 + 0.22 * fields["delay"] + 0.15 * white, 0.02, 1.0)
    if person.side_delay:
        delay = delay + person.side_delay * _one_side(fractions.shape[-1])
    leaking = fractions[Tissue.TUMOR_RIM] * np.clip(1 + 0.4 * fields["tumor"], 0.2, 2.0) * person.k_trans
    leaking += fractions[Tissue.SCALP] * known.SCALP_K_TRANS.value
    return FlowMaps(
        tissue_cbv=volume,
        tissue_cbf=flow,
        tissue_mtt=np.divide(volume, flow, out=np.ones_like(flow), where=flow > 0),
        tissue_delay=delay.astype(np.float32),
        artery=fractions[Tissue.ARTERY] * np.float32(person.blood_relaxivity),
        vein=fractions[Tissue.VEIN] * np.float32(person.blood_relaxivity),
        venous_delay=(0.4 * person.venous_transit + 0.5 * delay).astype(np.float32),
        leakage=(leaking / 60).astype(np.float32),
    )


def _one_side(columns: int) -> np.ndarray:
    """(X,) 0 on the side of the first column, 1 on the other, with a soft step in the middle."""
    return 1 / (1 + np.exp(-(np.arange(columns) - (columns - 1) / 2) / (0.03 * columns)))


def variation_fields(
    shape: tuple[int, int, int], spacing: np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """The random fields that `flow_maps` needs, on the whole EPI grid.

    :param shape: (Z, Y, X)
    :param spacing: (3,) voxel size along z, y, x, mm
    """
    lengths = {"volume": 9.0, "transit": 12.0, "delay": 25.0, "tumor": 4.0}
    fields = {name: smooth_field(shape, spacing, length, generator) for name, length in lengths.items()}
    fields["fine"] = generator.standard_normal(shape, dtype=np.float32)
    return fields
