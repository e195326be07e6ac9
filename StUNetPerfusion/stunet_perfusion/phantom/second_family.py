"""A second family of phantoms, which no network is trained on: other persons, other contrast, another scanner.

A network that does well on phantoms like those it has learned from may only know its simulator. What this family has
otherwise, always or by chance, lies outside of what `random_physiology` and `random_protocol` draw:

| | training family | second family |
|---|---|---|
| AIF | gamma variate | lagged normal, 5.5 to 10 s wide at half its height; slower tail |
| residue function | gamma-distributed transit times | log-normal, or two paths in parallel |
| delay | up to 2 s | up to 4 s, in a third of the persons one side 1 to 3 s later |
| blood volume | gray over white about 2.5 | 1.6 to 2.1 (Manhart's phantom) |
| noise | correlated within 0.4 voxels at most, up to 20 % stronger inside | beyond that, and more physiological |
| blur | 0.3 to 0.6 voxels | 0.7 to 1.0 voxels |
| leakage | one K_trans, ve 0.125 | K_trans 0.12 to 0.21 /min, ve 0.2 to 0.4, T1- or T2*-dominant by a wide range |
| field | T1, T2* and r2* of one source | T1 a fifth to two fifths longer, T2* shorter, r2* 32 1/s/mM at 1.5 T |
| coil | up to 20 % | 25 to 40 % brighter at the rim |
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stunet_perfusion.phantom import constants as known
from stunet_perfusion.phantom.acquisition import Protocol, random_protocol
from stunet_perfusion.phantom.constants import Constant
from stunet_perfusion.phantom.physiology import Physiology, random_physiology

_MANHART = "Manhart's perfusion phantom"
GRAY_CBV = Constant(3.3, 0.4, "ml/100 g", _MANHART)
GRAY_TO_WHITE_CBV = Constant(1.85, 0.12, "1", _MANHART + ": 1.7; cut between 1.6 and 2.1")
K_TRANS = Constant(0.165, 0.03, "1/min", "SAGE-MOLED: 0.12 to 0.21")
R2_STAR_1_5T = Constant(32.0, 0.0, "1/s/mM", "osipy at 1.5 T")
T1_SCALE = Constant(1.33, 0.06, "1", "Stanisz 2005 over Wansapura 1999, white and gray matter at 3 T: 1.30 and 1.37")

#: Noise adds up where coils are few and far: chosen, no source found.
_NOISE_CENTER = (0.2, 0.6)
_PHYSIOLOGICAL_NOISE = (0.003, 0.010)


def second_physiology(generator: np.random.Generator, high_grade: bool | None = None) -> Physiology:
    """Another person, of the second family.

    :param high_grade: of the tumor; drawn too where None
    """
    person = random_physiology(generator, high_grade)
    gray = GRAY_CBV.draw(generator)
    fraction = gray / known.GRAY_CBV.value
    leaks = person.k_trans > 0
    return replace(
        person,
        gray_cbv=gray,
        white_cbv=gray / GRAY_TO_WHITE_CBV.draw(generator, 2.0),
        deep_gray_cbv=fraction * known.DEEP_GRAY_CBV.draw(generator),
        cerebellar_gray_cbv=fraction * known.CEREBELLAR_GRAY_CBV.draw(generator),
        brain_stem_cbv=fraction * known.BRAIN_STEM_CBV.draw(generator),
        residue=str(generator.choice(["lognormal", "biexponential"])),
        transit_shape=generator.uniform(0.8, 3.0),
        largest_delay=generator.uniform(2.0, 4.0),
        side_delay=generator.uniform(1.0, 3.0) if generator.random() < 1 / 3 else 0.0,
        aif_model="lagged-normal",
        bolus_width=generator.uniform(1.6, 2.6),
        bolus_lag=generator.uniform(2.5, 5.5),
        recirculation_delay=generator.uniform(12.0, 18.0),
        tail_decay=generator.uniform(80.0, 150.0),
        variation=generator.uniform(0.08, 0.2),
        k_trans=K_TRANS.draw(generator) if leaks else 0.0,
        leakage_ve=generator.uniform(0.2, 0.4),
        leakage_relaxivity=generator.uniform(0.1, 0.9),
    )


def second_protocol(generator: np.random.Generator) -> Protocol:
    """Another scanner, of the second family."""
    protocol = random_protocol(generator)
    return replace(
        protocol,
        blur=generator.uniform(0.7, 1.0),
        shading=generator.uniform(0.25, 0.4),
        noise_blur=generator.uniform(0.4, 0.7),
        noise_center=generator.uniform(*_NOISE_CENTER),
        physiological_noise=generator.uniform(*_PHYSIOLOGICAL_NOISE),
        t1_scale=T1_SCALE.draw(generator),
        t2_star_scale=generator.uniform(0.75, 0.9),
        r2_star_scale=1.0 if protocol.field == 3.0 else R2_STAR_1_5T.value / known.R2_STAR_1_5T.value,
    )
