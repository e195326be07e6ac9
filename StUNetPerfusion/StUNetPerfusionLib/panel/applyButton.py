"""Apply: from what is chosen in the panel to a run, and to its result in the views."""

from __future__ import annotations

import qt

from StUNetPerfusionLib.panel.choices import (
    aifChoice,
    doseOptions,
    modelOptions,
    referenceDoseOptions,
    referenceSource,
    segmentChoice,
)
from StUNetPerfusionLib.panel.regions import REGIONS, drawnSegments, regionsKey
from StUNetPerfusionLib.panel.runSection import duration
from StUNetPerfusionLib.process.applySteps import ReferenceChoice
from StUNetPerfusionLib.process.computations import DoseChoice
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _


class Applying:
    """Computes prediction, reference, difference and numbers for all slices, and shows them.

    :param panel: what the sections share
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._asked: tuple | None = None

    def begin(self) -> None:
        """Compute what is chosen now."""
        panel = self._panel
        panel.previewing.cancel()
        run = panel.start(lambda: applyChoice(panel), lambda error: panel.say(inPanelWords(error), error=True))
        if run is None:
            return
        self._asked, regions = self._choice(), regionsKey(panel)
        panel.run.begin(run)
        run.onFinished = lambda run: self._onFinished(run, regions)

    def _choice(self) -> tuple | None:
        """Of what Apply is about: another one once the user has chosen something else."""
        panel = self._panel
        if panel.parameters is None or panel.opened is None:
            return None
        return panel.seriesKey, tuple(doseOptions(panel.parameters).items())

    def _onFinished(self, run, regions: str) -> None:
        panel = self._panel
        if run.state == "done" and run.result.table is not None:
            run.result.table.SetAttribute(REGIONS, regions)
        if run.state != "done":
            panel.run.end(run.sentence, error=run.state == "failed")
            # A preview that waited for its end begins, unless all of it is ending.
            qt.QTimer.singleShot(0, panel.onDoseSettled)
        elif self._asked is not None and self._asked == self._choice():
            panel.run.end(_("Done in {time}.").format(time=duration(run.seconds)), error=False)
            panel.showResult(run.result)
        else:
            name = run.result.cbv.GetName() if run.result.cbv is not None else ""
            panel.run.end(_("Done: {name} is in the scene.").format(name=name), error=False)
            panel.onDoseSettled()
        panel.refreshApply()


def applyChoice(panel):
    """Begin Apply with what is chosen.

    :returns: the Run
    :raises InputError: a choice that cannot be used
    """
    parameters = panel.parameters
    reference = ReferenceChoice(
        source=referenceSource(parameters),
        dose=DoseChoice(**referenceDoseOptions(parameters)),
        baseline=parameters.baseline.value,
        leakageCorrection=parameters.leakageCorrection,
    )
    named = {"tumor": segmentChoice(parameters, "tumor"), "nawm": segmentChoice(parameters, "whiteMatter")}
    return panel.logic.apply(
        parameters.inputNode,
        reference=reference,
        aif=aifChoice(parameters),
        regions=drawnSegments(panel),
        waitForCompletion=False,
        **{name: region for name, region in named.items() if region is not None},
        **doseOptions(parameters),
        **modelOptions(parameters),
        **panel.inputOptions(),
    )
