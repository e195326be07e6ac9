"""Every physical and physiological number of the phantom, with its unit and where it comes from.

Where sources disagree the spread covers them. `absolute_to_fraction` is the one place where ml/100 g become the
fractions that deconvolution yields.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stunet_perfusion.kinetics.reference.maps import BRAIN_DENSITY, HEMATOCRIT_LARGE, HEMATOCRIT_SMALL


class Constant(NamedTuple):
    """A number with its standard deviation between people (0 where none is given), unit and source."""

    value: float
    spread: float
    unit: str
    source: str

    def draw(self, generator: np.random.Generator, limit: float = 1.5) -> float:
        """A value for one person: normal, cut at `limit` standard deviations."""
        return self.value + self.spread * float(np.clip(generator.standard_normal(), -limit, limit))


_HRGT = "asldro, ground truth of its digital head"
_BULAKBASI = "Bulakbasi 2005"
_MANHART = "Manhart's perfusion phantom, PMC5801598, PMC3121008 table 3"
_OWN = "chosen: no source found"

# Blood ---------------------------------------------------------------------------------------------------------------
GRAY_CBV = Constant(4.1, 0.6, "ml/100 g", _MANHART + ": 3.3, 5.0 +- 1.4, 3.7")
GRAY_TO_WHITE_CBV = Constant(2.5, 0.25, "1", _MANHART + ": 1.7, 2.8, 2.5")
DEEP_GRAY_CBV = Constant(3.5, 0.4, "ml/100 g", _OWN + "; between cortex and white matter")
CEREBELLAR_GRAY_CBV = Constant(4.4, 0.6, "ml/100 g", _OWN + "; a little above cortex")
BRAIN_STEM_CBV = Constant(2.3, 0.3, "ml/100 g", _OWN)
CHOROID_PLEXUS_CBV = Constant(7.0, 1.5, "ml/100 g", _OWN)
FLUID_CBV = Constant(0.1, 0.0, "ml/100 g", _OWN + "; near 0")
SCALP_CBV = Constant(1.2, 0.4, "ml/100 g", _OWN)
GRAY_MTT = Constant(4.4, 0.6, "s", _MANHART + ": CBV over CBF 53 to 60.5 ml/100 g/min")
WHITE_MTT = Constant(4.6, 0.6, "s", _MANHART + ": CBV over CBF 25 to 32 ml/100 g/min")
SCALP_MTT = Constant(7.0, 1.0, "s", _OWN)
LARGE_VESSEL_MTT = Constant(1.0, 0.0, "s", "convention: makes CBF defined where blood only passes through")
VENOUS_TRANSIT = Constant(5.0, 0.6, "s", "tissue transit plus delay")

# Tumor ---------------------------------------------------------------------------------------------------------------
LOW_GRADE_NRCBV = Constant(2.30, 1.12, "1", _BULAKBASI)
HIGH_GRADE_NRCBV = Constant(5.42, 1.52, "1", _BULAKBASI)
LOW_GRADE_EDEMA_NRCBV = Constant(1.18, 0.2, "1", _BULAKBASI)
HIGH_GRADE_EDEMA_NRCBV = Constant(2.17, 0.4, "1", _BULAKBASI)
CORE_NRCBV = Constant(0.35, 0.15, "1", _OWN + "; necrosis")
TUMOR_MTT = Constant(5.5, 1.0, "s", _OWN)
LEAKAGE_K_TRANS_T1 = Constant(0.109, 0.04, "1/min", "Skinner 2016")
LEAKAGE_K_TRANS_T2 = Constant(0.092, 0.04, "1/min", "Skinner 2016")
LEAKAGE_VE = Constant(0.125, 0.012, "1", "SAGE-MOLED: 0.11 to 0.14")
LEAKAGE_R2_SHARE = Constant(0.35, 0.1, "1", _OWN + "; r2* outside vessels over r2* of tissue with vessels")
PRELOAD_PLASMA = Constant(0.7, 0.0, "mM", _OWN + "; plasma some minutes after a preload of 0.1 mmol/kg")
SCALP_K_TRANS = Constant(0.05, 0.01, "1/min", _OWN + "; slow enhancement")

# Arterial input ------------------------------------------------------------------------------------------------------
AIF_ALPHA = Constant(2.95, 0.2, "1", "SAGE-MOLED 2.9, Chakwizira 3")
AIF_BETA = Constant(1.5, 0.2, "s", "SAGE-MOLED, Chakwizira")
AIF_PEAK = Constant(6.4, 0.8, "mM", "0.1 mmol/kg; chosen so that gray matter loses 30 to 50 % of its signal")
RECIRCULATION_DELAY = Constant(11.0, 2.0, "s", "SAGE-MOLED: about 8 frames")
RECIRCULATION_PEAK = Constant(0.08, 0.025, "1", "SAGE-MOLED 0.04 to 0.07; real arteries 0.12 with the tail")
TAIL = Constant(0.06, 0.02, "1", "real arteries: 0.12 together with recirculation")
TAIL_DECAY = Constant(60.0, 15.0, "s", "SAGE-MOLED has 15 to 30; tails of real arteries last longer")

# Magnet --------------------------------------------------------------------------------------------------------------
R2_STAR_3T = Constant(87.0, 0.0, "1/s/mM", "SAGE-MOLED")
R2_STAR_1_5T = Constant(44.0, 0.0, "1/s/mM", "dsc-mri-toolbox at 1.5 T")
BLOOD_RELAXIVITY_SHARE = Constant(0.20, 0.03, "1", "measured: peak TE x delta R2* of real arteries is 1.1 to 1.7")
R1_3T = Constant(5.0, 0.0, "1/s/mM", "gadobutrol: Rohrer, Szomolanyi, as in dcmri")
R1_1_5T = Constant(5.2, 0.0, "1/s/mM", "gadobutrol: Rohrer, Szomolanyi, as in dcmri")


class Relaxation(NamedTuple):
    """T1 (s) and T2* (s) at 3 T, the same at 1.5 T, and proton density relative to water."""

    t1_3t: float
    t2_star_3t: float
    t1_1_5t: float
    t2_star_1_5t: float
    proton_density: float


#: T1 and T2* of gray and white matter and fluid: asldro. Tumor T1 at 3 T: Tseng. Blood, bone, scalp (fat suppressed)
#: and air: chosen to look as EPI does.
RELAXATION = {
    "gray": Relaxation(1.33, 0.066, 1.10, 0.084, 0.84),
    "white": Relaxation(0.83, 0.053, 0.56, 0.066, 0.71),
    "fluid": Relaxation(3.0, 0.200, 2.06, 0.300, 1.0),
    "tumor": Relaxation(1.98, 0.090, 1.60, 0.115, 0.90),
    "edema": Relaxation(1.60, 0.085, 1.30, 0.110, 0.87),
    "artery": Relaxation(1.65, 0.048, 1.44, 0.10, 0.80),
    "vein": Relaxation(1.65, 0.025, 1.44, 0.05, 0.80),
    "scalp": Relaxation(1.0, 0.030, 0.80, 0.040, 0.28),
    "bone": Relaxation(1.0, 0.010, 0.80, 0.012, 0.05),
    "air": Relaxation(1.0, 0.010, 0.80, 0.012, 0.0),
}


def absolute_to_fraction(value: float) -> float:
    """ml/100 g to the fraction that `sum C / sum C_aif` gives, or ml/100 g/min to 60 times the CBF in 1/s.

    The inverse of the absolute scaling of Ostergaard 1996: multiply by density and divide by 100 k_H, with the
    numbers by which `reference.absolute_maps` scales.
    """
    return value * BRAIN_DENSITY * (1 - HEMATOCRIT_SMALL) / (100 * (1 - HEMATOCRIT_LARGE))
