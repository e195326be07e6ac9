"""What the user chose, kept in a node that is saved with the scene."""

# No `from __future__ import annotations` here: the wrapper needs types, not their names.
from enum import Enum
from typing import Annotated, Union

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Minimum, WithinRange, parameterNodeWrapper


class DoseMethod(Enum):
    """How a lower dose is simulated; the values are those of `stunet_perfusion.dose`."""

    NOISE_MATCHED = "noise-matched"
    EQUATION_1 = "equation1"

    def label(self):
        return {
            DoseMethod.NOISE_MATCHED: _("Noise-matched (like a real scan)"),
            DoseMethod.EQUATION_1: _("Equation 1 (as in the paper)"),
        }[self]


class ReferenceSource(Enum):
    """Where the reference CBV comes from."""

    BUILT_IN = "built-in"
    VOLUME = "volume"
    FSL = "fsl"

    def label(self):
        return {
            ReferenceSource.BUILT_IN: _("Computed here (Verbena's method)"),
            ReferenceSource.VOLUME: _("A volume in the scene"),
            ReferenceSource.FSL: _("Run FSL's verbena"),
        }[self]


class ReferenceDose(Enum):
    """From which series the reference is computed."""

    FULL = "full"
    SIMULATED = "simulated"

    def label(self):
        return {
            ReferenceDose.FULL: _("Full dose (as acquired)"),
            ReferenceDose.SIMULATED: _("Simulated dose"),
        }[self]


class Baseline(Enum):
    """Signal before the bolus; the values are those of `stunet_perfusion.kinetics.reference.baseline_frames`."""

    MEAN = "auto"
    FIRST_FRAME = "first"

    def label(self):
        return {
            Baseline.MEAN: _("Mean before the bolus (less noisy)"),
            Baseline.FIRST_FRAME: _("First frame (exactly Verbena)"),
        }[self]


class AifSource(Enum):
    """Where the arterial input function is taken from."""

    AUTOMATIC = "auto"
    SEGMENT = "segment"
    POINT = "point"

    def label(self):
        return {
            AifSource.AUTOMATIC: _("Automatic"),
            AifSource.SEGMENT: _("Vessel segment"),
            AifSource.POINT: _("Points placed by hand"),
        }[self]


class ThirdMap(Enum):
    """The map to the right of prediction and reference."""

    DIFFERENCE = "difference"
    UNCERTAINTY = "uncertainty"

    def label(self):
        return {
            ThirdMap.DIFFERENCE: _("Difference (prediction - reference)"),
            ThirdMap.UNCERTAINTY: _("Uncertainty of the prediction"),
        }[self]


# A multi-volume is a node of a module that may be missing.
if hasattr(slicer, "vtkMRMLMultiVolumeNode"):
    InputNode = Union[slicer.vtkMRMLSequenceNode, slicer.vtkMRMLMultiVolumeNode, None]  # noqa: UP007 (the wrapper's way)
else:
    InputNode = slicer.vtkMRMLSequenceNode


@parameterNodeWrapper
class PerfusionParameters:
    """Everything that the panel asks for.

    inputNode: the series, a sequence or a multi-volume
    frameInterval: seconds, 0 as recorded
    echoTime: milliseconds, 0 as recorded
    dropFrames: first frames to leave out, -1 automatic
    segmentation, *Segment: regions, segments by their ID, "" for none
    dosePercent, method: the simulated dose
    frame: the frame that is shown
    frameInputId: ID of the input whose frame that is
    checkpoint: path of the file; "" for the first that ships
    device: as torch names it, or "auto"
    deviceLabel: what people call it, for a computer that does not have it
    preview: whether the shown slice is predicted when the slider is released
    """

    inputNode: InputNode
    frameInterval: Annotated[float, WithinRange(0, 20)] = 0.0
    echoTime: Annotated[float, WithinRange(0, 200)] = 0.0
    dropFrames: Annotated[int, WithinRange(-1, 200)] = -1
    segmentation: slicer.vtkMRMLSegmentationNode
    brainSegment: str = ""
    tumorSegment: str = ""
    whiteMatterSegment: str = ""
    vesselSegment: str = ""
    dosePercent: Annotated[float, WithinRange(10, 100)] = 100.0
    method: DoseMethod = DoseMethod.NOISE_MATCHED
    frame: Annotated[int, Minimum(0)] = 0
    frameInputId: str = ""
    checkpoint: str = ""
    device: str = "auto"
    deviceLabel: str = ""
    preview: bool = True
    referenceSource: ReferenceSource = ReferenceSource.BUILT_IN
    referenceVolume: slicer.vtkMRMLScalarVolumeNode
    referenceDose: ReferenceDose = ReferenceDose.FULL
    baseline: Baseline = Baseline.MEAN
    aifSource: AifSource = AifSource.AUTOMATIC
    aifPoint: slicer.vtkMRMLMarkupsFiducialNode
    leakageCorrection: bool = False
    thirdMap: ThirdMap = ThirdMap.DIFFERENCE
