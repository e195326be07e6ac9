"""The paper's input and output: the signal as z-scores, and CBV as z-scores (section 4.2)."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.inference.box import cropped, into_box
from stunet_perfusion.inference.slice_input import SliceForNetwork
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.kinetics.cbv_scale import CLIP, CbvScale, cbv_scale
from stunet_perfusion.preprocessing.preparation import PreparedSeries


class SignalInput:
    """See `InputKind`: z-scores of the brain in the first five steady frames, clipped to [-5, 5]."""

    clip = CLIP
    target_clip = CLIP
    tells_blood_volume = False

    def first_pass(self, prepared: PreparedSeries) -> None:
        """No curve is needed."""
        return

    def of_slice(self, plan: Standardization, signal: np.ndarray, noise: bool = False) -> SliceForNetwork:
        """:param signal: (T, Y, X) of the prepared series, every frame of it
        :param noise: makes no difference: the network's numbers have no unit that noise could be told in
        """
        box, signal = cropped(plan.box, signal)
        resampled = into_box(box, signal[plan.window])
        resampled -= plan.signal_mean
        resampled /= plan.signal_sd
        return SliceForNetwork(np.clip(resampled, -CLIP, CLIP, out=resampled))

    def target_scale(self, cbv: np.ndarray, brain: np.ndarray, found_brain: np.ndarray) -> CbvScale:
        """Mean and standard deviation over the brain where the map is known."""
        return cbv_scale(cbv, brain)
