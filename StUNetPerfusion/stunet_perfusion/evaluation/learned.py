"""Maps by trained networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stunet_perfusion.evaluation.methods import Method, MethodMap, Table
from stunet_perfusion.inference.predict import known_scale, predict_standardized, to_blood_volume
from stunet_perfusion.kinetics.closed_form import mean_curve
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.networks.checkpoint import Checkpoint, load
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.runs.provenance import sha256_of_path
from stunet_perfusion.support.errors import InputError


def network_methods(paths: Sequence[Path], stride: int, device: str) -> list[Method]:
    """A method a checkpoint, named after its file.

    :param stride: rows from strip to strip; 1 is the paper's
    :raises InputError: a checkpoint that cannot be loaded, or two of one name
    """
    names = [path.stem for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}.safetensors", "is given twice", "give each checkpoint a name of its own")
    return [_network_method(path, load(path), stride, device) for path in paths]


def _network_method(path: Path, checkpoint: Checkpoint, stride: int, device: str) -> Method:
    def compute(prepared: PreparedSeries, table: Table, dose: float) -> MethodMap:
        return network_map(prepared, checkpoint, stride, device)

    key = {"sha256": sha256_of_path(path), "stride": stride}
    return Method(path.stem, path.stem, "network", compute, key)


def network_map(prepared: PreparedSeries, checkpoint: Checkpoint, stride: int, device: str) -> MethodMap:
    """Predict as `predict` does, but scaled by the brain's mean curve instead of an artery.

    :raises InputError: as `predict_standardized` and `to_blood_volume`
    """
    predicted = predict_standardized(prepared, checkpoint, stride=stride, device=device)
    first_pass = first_pass_cbv(prepared.series, prepared.bolus, mean_curve(prepared))
    known = known_scale(checkpoint.info, first_pass, prepared.brain)
    found = to_blood_volume(prepared, predicted, first_pass, known)
    return MethodMap(found.cbv, found.uncertainty)
