"""Two choices of everything that decides a map: as in the paper, and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stunet_perfusion.dose.simulate import DEFAULT_METHOD, Method

Preset = Literal["ours", "paper"]


@dataclass(frozen=True)
class Choices:
    """What a preset stands for.

    :param network: whose shipped checkpoint predicts
    :param method: how a lower dose is simulated
    :param baseline: S0 of the reference: `first` frame, as Verbena takes it, or `auto`, the mean before the bolus
    """

    network: str
    method: Method
    baseline: Literal["first", "auto"]


#: The paper pads strips with zeros and averages every strip, which is part of its checkpoint and the default stride.
PRESETS: dict[Preset, Choices] = {
    "ours": Choices("stunet", DEFAULT_METHOD, "auto"),
    "paper": Choices("paper-stunet", "equation1", "first"),
}
