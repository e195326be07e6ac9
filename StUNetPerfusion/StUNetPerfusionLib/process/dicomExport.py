"""A result of Apply as DICOM: the prediction, and the reference that it was compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.process.runs import Request, Steps
from StUNetPerfusionLib.process.workerProcess import WorkerProcess
from StUNetPerfusionLib.scene.nodeFrames import gridOfVolume
from StUNetPerfusionLib.scene.results import RESULT, provenance
from StUNetPerfusionLib.translation import tr as _

#: What the volumes of a result are called in DICOM, by their role.
_NAMES = {
    "cbv": "cbv",
    "uncertainty": "cbv_uncertainty",
    "standardized": "cbv_standardized",
    "cbf": "cbf",
    "mtt": "mtt",
}

_METHODS = {"stunet": "stU-Net", "hess": "CNN of Hess et al.", "ulas": "CNN of Ulas et al."}


def exportSteps(worker: WorkerProcess, volumeNodes: Mapping[str, Any], source: Path | None, output: Path) -> Steps:
    """Write the maps that belong together with each of some volumes.

    :param volumeNodes: a volume of a result by the name of the folder within `output` that its maps go to
    :param source: folder with the DICOM files of the series, or None for a study of nobody
    :param output: a new or an empty folder
    :returns: sentences for the user
    """
    exports = [(output / name, *_mapsWith(node)) for name, node in volumeNodes.items()]
    notes: list[str] = []
    for number, (folder, maps, ijkToRas, origin) in enumerate(exports):
        files = {}
        for name, values in maps.items():
            files[name] = str(worker.folder / f"export-{number}-{name}.npy")
            np.save(files[name], values)
        arguments = {"maps": files, "ijk_to_ras": ijkToRas, "origin": origin, "output": str(folder)}
        try:
            answer = yield Request(
                "export_dicom",
                {**arguments, "source": None if source is None else str(source)},
                number / len(exports),
                (number + 1) / len(exports),
            )
        finally:
            for file in files.values():
                Path(file).unlink(missing_ok=True)
        notes += answer["notes"]
    return list(dict.fromkeys(notes))


def _mapsWith(volumeNode) -> tuple[dict[str, np.ndarray], list, dict[str, Any]]:
    """All maps of the computation that a volume is of, their place, and how they were made."""
    identity = volumeNode.GetAttribute(RESULT)
    if not identity:
        raise InputError(
            volumeNode.GetName(), _("was not computed by this module"), _("export it with the DICOM module")
        )
    maps = {}
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", volumeNode.GetScene()):
        name = _NAMES.get(provenance(node).get("Role", ""))
        if node.GetAttribute(RESULT) == identity and name:
            maps[name] = slicer.util.arrayFromVolume(node).astype(np.float32)
    facts = provenance(volumeNode)
    network = facts.get("Network", "")
    origin = {
        "method": _METHODS.get(network, network) or "closed form",
        "checkpoint": facts.get("Checkpoint", ""),
        "checkpoint_sha256": facts.get("CheckpointSha256", ""),
        "dose": float(facts.get("Dose", 1)),
        "dose_method": facts.get("Method", ""),
    }
    return maps, gridOfVolume(volumeNode).ijk_to_ras.tolist(), origin
