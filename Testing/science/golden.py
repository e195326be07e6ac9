"""What the original `verbena -modelfree` computed, laid out as this package lays out arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from science.shared import shared_data

#: Three noise levels of the same 24 x 24 x 3 series.
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


def load_golden() -> Golden:
    """The golden file; the test that asks for it is skipped where it is absent."""
    return Golden(np.load(shared_data("golden/verbena_modelfree.npz")))
