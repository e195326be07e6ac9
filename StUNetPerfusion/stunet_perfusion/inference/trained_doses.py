"""Whether a network was trained on doses that were lowered as this series' was."""

from __future__ import annotations

from stunet_perfusion.networks.checkpoint_document import CheckpointInfo
from stunet_perfusion.series import SimulatedDose

EQUATION_1 = "equation1"


def learned_from_equation1(info: CheckpointInfo) -> bool | None:
    """Whether a network's lower doses were simulated by Equation 1; None where its checkpoint does not say.

    Other doses, scanned by the phantom at less contrast or simulated as `noise-matched`, hold the noise of a scan.
    """
    told = info.training.get("dose")
    return told.endswith(EQUATION_1) if isinstance(told, str) else None


def note_on_simulation(info: CheckpointInfo, simulated: SimulatedDose | None) -> str | None:
    """A sentence where a network meets a simulation that it was not trained on, else None."""
    learned = learned_from_equation1(info)
    if simulated is None or learned is None or learned == (simulated.method == EQUATION_1):
        return None
    if learned:
        return (
            f"{info.network} was trained on doses lowered by Equation 1, and this series is {simulated.method}: "
            "its map is not that of the paper. Simulate with equation1, or use our network."
        )
    return (
        f"{info.network} was trained on series with the noise of their dose, and Equation 1 understates it: "
        "the map is biased. Simulate with noise-matched, or use the preset paper."
    )
