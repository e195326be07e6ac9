"""One choice that sets network, dose simulation and baseline: ours, or as in the paper."""

from __future__ import annotations

from stunet_perfusion.runs.presets import PRESETS
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint
from StUNetPerfusionLib.parameterNode import Baseline, DoseMethod
from StUNetPerfusionLib.translation import tr as _


def presetLabels() -> dict[str, str]:
    """What the panel calls each preset, by its name."""
    return {"ours": _("Ours (recommended)"), "paper": _("As in the paper")}


def matchingPreset(parameters) -> str | None:
    """The preset that the parameters agree with, or None."""
    for name in presetLabels():
        choices = PRESETS[name]
        if (
            parameters.checkpoint == _checkpointOf(choices.network)
            and parameters.method == DoseMethod(choices.method)
            and parameters.baseline == Baseline(choices.baseline)
        ):
            return name
    return None


def applyPreset(parameters, name: str) -> None:
    """Set everything that a preset decides.

    :param parameters: PerfusionParameters
    :param name: one of `presetLabels`
    """
    choices = PRESETS[name]
    parameters.checkpoint = _checkpointOf(choices.network)
    parameters.method = DoseMethod(choices.method)
    parameters.baseline = Baseline(choices.baseline)


def _checkpointOf(network: str) -> str:
    """As the parameters hold it: "" is the first that ships, so that a scene can be opened on another computer."""
    try:
        return "" if network == "stunet" else str(shipped_checkpoint(network))
    except InputError:
        return ""
