"""How a case is predicted. Known without torch, for those who only compare settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stunet_perfusion.dose.simulate import DEFAULT_METHOD, Method


@dataclass(frozen=True)
class PredictionSettings:
    """How a case is predicted.

    :param dose: share of the injected dose to simulate, in (0, 1]; 1 leaves the series as it is
    :param method: `equation1` or `noise-matched`, see `dose`
    :param seed: of the noise that `noise-matched` adds
    :param drop_frames: first frames to leave out, or `auto`
    :param mend: what is mended where a series is damaged: `auto`, `off`, or some of `motion,frames,level`
    :param bolus: which bolus is used where several pass, from 1, or `auto`
    :param stride: rows from one strip to the next; 1 is the paper's
    :param batch: strips at a time
    :param device: as torch names it
    """

    dose: float = 1.0
    method: Method = DEFAULT_METHOD
    seed: int = 0
    drop_frames: int | Literal["auto"] = "auto"
    mend: str = "auto"
    bolus: int | Literal["auto"] = "auto"
    stride: int = 1
    batch: int = 8
    device: str = "cpu"
