"""What the original `verbena -modelfree` computed, laid out as this package lays out arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from science.shared import shared_data, shared_data_exist

#: Every third column and row of the series, in the repository; and the whole, where the development data are there.
PART, WHOLE = "part", "whole"
_PART_FILE = Path(__file__).resolve().parent / "golden" / "verbena_modelfree.npz"
_WHOLE_FILE = "golden/verbena_modelfree.npz"
EXTENTS = (PART, WHOLE) if shared_data_exist(_WHOLE_FILE) else (PART,)

#: Three noise levels of the same series.
NOISE_LEVELS = ("snrinf", "snr100", "snr20")
NOISY = NOISE_LEVELS[1:]
LAPACKS = ("default", "Haswell", "Nehalem", "Prescott", "reflapack")


@dataclass(frozen=True, eq=False)
class Golden:
    """The golden file. Series are (T, Z, Y, X), maps (Z, Y, X)."""

    file: np.lib.npyio.NpzFile

    def __getitem__(self, key: str) -> np.ndarray:
        """The array of this name, axes reversed where it is an image."""
        array = self.file[key]
        return array.T if array.ndim >= 3 else array

    @property
    def mask(self) -> np.ndarray:
        return self["mask"]

    @property
    def frame_interval(self) -> float:
        return float(self["TR"])

    @property
    def echo_time(self) -> float:
        return float(self["TE"])

    @property
    def aif(self) -> np.ndarray:
        """(T,) float64 delta R2* that `aifconc` results were computed with."""
        return self["aif_conc"].astype(np.float64)

    def curves_in_mask(self, level: str) -> np.ndarray:
        """(T, V) concentrations that the original deconvolved, voxels in the order of `in_mask`."""
        return self[f"verbena_conc_{level}"][:, self.mask]

    def cbf_of_lapacks(self, level: str) -> np.ndarray:
        """(5, V) CBF by the original with five LAPACKs, in the order of `in_mask`."""
        stored = self.file["mask"]
        volumes = np.zeros((len(LAPACKS), *stored.shape))
        for volume, name in zip(volumes, LAPACKS, strict=True):
            volume[stored] = self.file[f"verbena_rcbf_lapack_{name}_{level}"]
        return np.stack([volume.T[self.mask] for volume in volumes])


def load_golden(extent: str) -> Golden:
    """The golden file.

    :param extent: one of `EXTENTS`
    """
    return Golden(np.load(_PART_FILE if extent == PART else shared_data(_WHOLE_FILE)))
