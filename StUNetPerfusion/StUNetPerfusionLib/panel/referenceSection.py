"""Section "Reference": which map the prediction is compared with."""

from __future__ import annotations

from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.labelText import say
from StUNetPerfusionLib.parameterNode import ReferenceSource
from StUNetPerfusionLib.process.fslVerbena import verbenaProgram
from StUNetPerfusionLib.translation import tr as _


class ReferenceSection:
    """Shows only what matters for the chosen kind of reference.

    :param ui: the widgets of the panel
    :param case: what is chosen
    """

    def __init__(self, ui, case: ChosenCase) -> None:
        self._ui = ui
        self._case = case

    def refresh(self) -> None:
        """Show what the parameters hold."""
        ui, parameters = self._ui, self._case.parameters
        source = parameters.referenceSource
        rows = {
            (ui.referenceVolumeLabel, ui.referenceVolumeSelector): source == ReferenceSource.VOLUME,
            (ui.referenceDoseLabel, ui.referenceDoseComboBox): source != ReferenceSource.VOLUME,
            (ui.baselineLabel, ui.baselineComboBox): source == ReferenceSource.BUILT_IN,
            (ui.leakageCheckBox,): source == ReferenceSource.BUILT_IN,
        }
        for widgets, visible in rows.items():
            for widget in widgets:
                widget.visible = visible
        missing = source == ReferenceSource.FSL and verbenaProgram() is None
        ui.referenceNoteLabel.visible = missing
        say(
            ui.referenceNoteLabel,
            (
                _("FSL's program verbena is not found. Install FSL, or choose the reference that is computed here.")
                if missing
                else ""
            ),
        )
