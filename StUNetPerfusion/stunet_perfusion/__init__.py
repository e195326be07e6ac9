"""Cerebral blood volume maps from dynamic susceptibility contrast MRI with the stU-Net.

    import stunet_perfusion as sp

    series = sp.read("dsc.nii.gz")
    cbv = sp.predict(series).cbv

The science of StUNetPerfusion: everything here runs without 3D Slicer. `stunet_perfusion.api` describes the five
functions that the package offers; `Documentation/architecture.md` names the rooms behind them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stunet_perfusion.api import compare, lower_dose, predict, read, reference

__version__ = "0.1.0"

__all__ = ["__version__", "compare", "lower_dose", "predict", "read", "reference"]


# Type checkers would take any name for one of these, and see no misspelled one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """The functions of `api`, imported at their first use: 3D Slicer imports the package and must not wait."""
        if name.startswith("_") or name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("stunet_perfusion.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
