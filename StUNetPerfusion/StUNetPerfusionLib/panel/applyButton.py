"""Apply: from what is chosen in the panel to a run, and to its result in the views."""

from __future__ import annotations

from collections.abc import Callable

import qt

from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.drawnRegions import REGIONS, drawnSegments, regionsKey
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.parameterOptions import (
    aifChoice,
    doseOptions,
    modelOptions,
    referenceDoseOptions,
    referenceSource,
    segmentChoice,
)
from StUNetPerfusionLib.panel.runSection import RunSection, duration
from StUNetPerfusionLib.panel.slicePreview import SlicePreview
from StUNetPerfusionLib.process.applySteps import ReferenceChoice
from StUNetPerfusionLib.process.computations import DoseChoice
from StUNetPerfusionLib.scene.appliedResult import AppliedResult
from StUNetPerfusionLib.translation import tr as _


class ApplyButton:
    """Computes prediction, reference, difference and numbers for all slices, and shows them.

    :param case: what is chosen
    :param runs: does what takes time
    :param status: shows how far it is
    :param preview: gives way
    :param onResult: takes a result for what is chosen now
    :param onOther: it has ended without such a result
    :param onEnded: it has ended
    """

    def __init__(
        self,
        case: ChosenCase,
        runs: PanelRuns,
        status: RunSection,
        preview: SlicePreview,
        onResult: Callable[[AppliedResult], None],
        onOther: Callable[[], None],
        onEnded: Callable[[], None],
    ) -> None:
        self._case = case
        self._runs = runs
        self._status = status
        self._preview = preview
        self._onResult, self._onOther, self._onEnded = onResult, onOther, onEnded
        self._asked: tuple | None = None

    def begin(self) -> None:
        """Compute what is chosen now."""
        self._preview.cancel()
        run = self._runs.start(lambda: applyChoice(self._case, self._runs.logic))
        if run is None:
            return
        self._asked, regions = self._choice(), regionsKey(self._case)
        self._status.begin(run)
        run.onFinished = lambda run: self._onFinished(run, regions)

    def _choice(self) -> tuple | None:
        """Of what Apply is about: another one once the user has chosen something else."""
        case = self._case
        if case.parameters is None or case.opened is None:
            return None
        return case.seriesKey, tuple(doseOptions(case.parameters).items())

    def _onFinished(self, run, regions: str) -> None:
        if run.state == "done" and run.result.table is not None:
            run.result.table.SetAttribute(REGIONS, regions)
        if run.state != "done":
            self._status.end(run.sentence, error=run.state == "failed")
            # A preview that waited for its end begins, unless all of it is ending.
            qt.QTimer.singleShot(0, self._onOther)
        elif self._asked is not None and self._asked == self._choice():
            self._status.end(_("Done in {time}.").format(time=duration(run.seconds)), error=False)
            self._onResult(run.result)
        else:
            name = run.result.cbv.GetName() if run.result.cbv is not None else ""
            self._status.end(_("Done: {name} is in the scene.").format(name=name), error=False)
            self._onOther()
        self._onEnded()


def applyChoice(case: ChosenCase, logic):
    """Begin Apply with what is chosen.

    :returns: the Run
    :raises InputError: a choice that cannot be used
    """
    parameters = case.parameters
    reference = ReferenceChoice(
        source=referenceSource(parameters),
        dose=DoseChoice(**referenceDoseOptions(parameters)),
        baseline=parameters.baseline.value,
        leakageCorrection=parameters.leakageCorrection,
    )
    named = {"tumor": segmentChoice(parameters, "tumor"), "nawm": segmentChoice(parameters, "whiteMatter")}
    return logic.apply(
        parameters.inputNode,
        reference=reference,
        aif=aifChoice(parameters),
        regions=drawnSegments(case),
        waitForCompletion=False,
        **{name: region for name, region in named.items() if region is not None},
        **doseOptions(parameters),
        **modelOptions(parameters),
        **case.inputOptions(),
    )
