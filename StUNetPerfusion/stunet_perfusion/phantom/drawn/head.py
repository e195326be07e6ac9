"""The head as a whole."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.phantom.anatomy import Anatomy, Tissue
from stunet_perfusion.phantom.drawn.canvas import blank_canvas
from stunet_perfusion.phantom.drawn.cerebrum import shape_cerebrum
from stunet_perfusion.phantom.drawn.cortex import fold
from stunet_perfusion.phantom.drawn.deep import core, deep_structures
from stunet_perfusion.phantom.drawn.hindbrain import shape_hindbrain
from stunet_perfusion.phantom.drawn.shapes import joined
from stunet_perfusion.phantom.drawn.skull import paint_around, paint_sinuses


def drawn_anatomy(seed: int = 0) -> Anatomy:
    """A head drawn by geometry alone, after nobody's data: nothing is read or downloaded.

    Lobes, ventricles, nuclei, cerebellum, brain stem, skull and dural sinuses are ellipsoids and tubes at their places
    in the brain; gyri and sulci follow random waves, but for the sulci that have names. Takes some seconds.

    :param seed: of folds, thicknesses and small asymmetries; the same seed gives the same head
    :returns: voxels of 1.2 mm
    """
    bend, lobes, folds, leaves, bones = (np.random.default_rng([seed, 9100 + n]) for n in range(5))
    canvas = blank_canvas(bend)
    cerebrum = shape_cerebrum(canvas, lobes)
    deep = deep_structures(canvas, cerebrum.middle)
    hindbrain = shape_hindbrain(canvas, cerebrum.tentorium, leaves)
    gray, white = fold(canvas, cerebrum.surface, cerebrum.middle, core(canvas), folds)

    tissue = np.zeros(canvas.shape, dtype=np.uint8)
    white_of_side = np.where(canvas.x > 0, Tissue.WHITE_RIGHT, Tissue.WHITE_LEFT).astype(np.uint8)
    bridge = deep.callosum & (cerebrum.envelope < 0)
    tissue[gray] = Tissue.CORTEX
    tissue[white | bridge] = white_of_side[white | bridge]
    tissue[hindbrain.gray & (tissue == 0)] = Tissue.CEREBELLAR_GRAY
    tissue[hindbrain.white & (tissue == 0)] = Tissue.CEREBELLAR_WHITE
    tissue[hindbrain.stem] = Tissue.BRAIN_STEM
    tissue[deep.hippocampus & white] = Tissue.CORTEX
    tissue[deep.ventricles & (tissue > 0)] = Tissue.VENTRICLE
    tissue[deep.nuclei & (cerebrum.surface < 0) & (tissue > 0)] = Tissue.DEEP_GRAY
    tissue[deep.plexus & (tissue == Tissue.VENTRICLE)] = Tissue.CHOROID_PLEXUS

    cavity = paint_around(tissue, canvas, joined(cerebrum.envelope, hindbrain.hull, 12), bones)
    paint_sinuses(tissue, canvas, cavity, cerebrum.tentorium)
    return Anatomy(tissue, canvas.grid, "drawn")
