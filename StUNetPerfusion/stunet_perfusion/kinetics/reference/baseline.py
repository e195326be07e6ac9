"""Which frames make the baseline signal S0."""

from __future__ import annotations

from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.support.errors import InputError, Setting


def baseline_frames(choice: str | int, bolus: Bolus) -> int:
    """How many first frames S0 is the mean of.

    :param choice: "first" is the first frame alone, as Verbena takes it; "auto" is all frames before the bolus
        arrives, three times less noisy; a number is that many frames
    :param bolus: where the bolus is in the series without its unsteady frames
    :raises InputError: any other word, or a number that is not positive or reaches into the bolus
    """
    if choice == "first":
        return 1
    if choice == "auto":
        return bolus.arrival
    if isinstance(choice, str) or choice < 1:
        raise InputError(Setting.BASELINE, f"'{choice}' names no frames", "give first, auto, or a number from 1 on")
    if choice > bolus.arrival:
        raise InputError(
            Setting.BASELINE,
            f"{choice} frames reach into the bolus, which arrives in frame {bolus.arrival}",
            f"give at most {bolus.arrival}, the frames before it arrives",
        )
    return choice
