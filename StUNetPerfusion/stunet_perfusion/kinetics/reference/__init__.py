"""Reference maps: CBV, CBF and MTT in closed form, as FSL's `verbena -modelfree` computes them.

Nothing is learned here. `deconvolution` is the fast way for all voxels at once, `voxelwise` the plain one that it is
held against.
"""

from __future__ import annotations

from stunet_perfusion.kinetics.reference.baseline import baseline_frames
from stunet_perfusion.kinetics.reference.deconvolution import oscillation_index_cbf
from stunet_perfusion.kinetics.reference.leakage import LeakageCorrection, correct_leakage
from stunet_perfusion.kinetics.reference.maps import (
    ReferenceMaps,
    absolute_maps,
    first_pass_cbv,
    reference_cbv,
    reference_maps,
)

__all__ = [
    "LeakageCorrection",
    "ReferenceMaps",
    "absolute_maps",
    "baseline_frames",
    "correct_leakage",
    "first_pass_cbv",
    "oscillation_index_cbf",
    "reference_cbv",
    "reference_maps",
]
