"""What the volumes of a computation are called and how they look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from StUNetPerfusionLib.scene.colors import (
    colorNode,
    showDifference,
    showMap,
    windowAndLevel,
)
from StUNetPerfusionLib.scene.results import UNCERTAINTY_IS, ResultImage
from StUNetPerfusionLib.translation import tr as _

#: The unit of CBV that was not scaled to tissue: the artery's share.
FRACTION = "fraction"

#: An uncertainty of a fifth of the window is a large one.
_UNCERTAINTY_SHARE = 0.2

#: Standard deviations; standardized maps have no zero that could be black, and are shown in gray.
_STANDARDIZED_WINDOW = (-2.0, 4.0)


def ofPrediction(
    name: str, dose: float, checkpoint: str, maps: Mapping[str, np.ndarray], brain: np.ndarray, uncertaintyIs: str
) -> tuple[str, list[ResultImage]]:
    """The volumes of a prediction.

    :param name: of the series
    :param dose: share of the dose
    :param checkpoint: name of its file, without the ending
    :param maps: `cbv`, `uncertainty`, `standardized`, (Z, Y, X) each
    :param brain: (Z, Y, X) bool
    :param uncertaintyIs: in words
    :returns: title of the folder, and its volumes
    """
    window, level = windowAndLevel(maps["cbv"], brain)
    condition = _("at {percent:g} % ({checkpoint})").format(percent=100 * dose, checkpoint=checkpoint)
    texts = {"name": name, "condition": condition}

    def gray(node) -> None:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevelMinMax(*_STANDARDIZED_WINDOW)

    return _("{name}: CBV {condition}").format(**texts), [
        ResultImage(
            "cbv",
            _("{name} CBV {condition}").format(**texts),
            maps["cbv"],
            FRACTION,
            _map(window, level),
            {UNCERTAINTY_IS: uncertaintyIs},
        ),
        ResultImage(
            "uncertainty",
            _("{name} CBV uncertainty {condition}").format(**texts),
            maps["uncertainty"],
            FRACTION,
            _map(_UNCERTAINTY_SHARE * window, _UNCERTAINTY_SHARE * level),
            {UNCERTAINTY_IS: uncertaintyIs},
        ),
        ResultImage(
            "standardized",
            _("{name} standardized CBV {condition}").format(**texts),
            maps["standardized"],
            _("standard deviations"),
            gray,
        ),
    ]


def ofReference(
    name: str, dose: float, maps: Mapping[str, tuple[np.ndarray, str]], brain: np.ndarray
) -> tuple[str, list[ResultImage]]:
    """The volumes of a reference.

    :param name: of the series
    :param dose: share of the dose
    :param maps: (Z, Y, X) and its unit, by `cbv`, `cbf`, `mtt`, and `k2` where leakage was corrected
    :param brain: (Z, Y, X) bool
    :returns: title of the folder, and its volumes
    """
    percent = 100 * dose
    images = [
        ResultImage(
            role,
            _("{name} reference {quantity} at {percent:g} %").format(name=name, quantity=role.upper(), percent=percent),
            np.where(brain, values, np.float32(0)),  # air has noise only, and the prediction is 0 there, too
            unit,
            _map(*windowAndLevel(values, brain)),
        )
        for role, (values, unit) in maps.items()
    ]
    return _("{name}: reference at {percent:g} %").format(name=name, percent=percent), images


def ofVerbena(name: str, dose: float, values: np.ndarray, brain: np.ndarray) -> tuple[str, list[ResultImage]]:
    """The volume that FSL's program computed.

    :param name: of the series
    :param dose: share of the dose
    :param values: (Z, Y, X), fraction
    :param brain: (Z, Y, X) bool
    :returns: title of the folder, and its volume
    """
    title = _("{name} Verbena CBV at {percent:g} %").format(name=name, percent=100 * dose)
    return title, [ResultImage("cbv", title, values, FRACTION, _map(*windowAndLevel(values, brain)))]


def ofDifference(name: str, referenceName: str, values: np.ndarray, window: float) -> ResultImage:
    """The volume that shows a map minus a reference.

    :param name: of the map
    :param referenceName: of the reference
    :param values: (Z, Y, X)
    :param window: of the map
    """
    title = _("{map} minus {reference}").format(map=name, reference=referenceName)
    return ResultImage("difference", title, values, FRACTION, lambda node: showDifference(node, window))


def _map(window: float, level: float) -> Callable[[Any], None]:
    return lambda node: showMap(node, window, level, colorNode(node.GetScene()))
