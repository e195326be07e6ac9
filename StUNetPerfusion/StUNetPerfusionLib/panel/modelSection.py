"""Section "Model": the checkpoint, the device, and whether this computer can run a network at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer

from stunet_perfusion.networks.checkpoint_document import describe
from stunet_perfusion.support.errors import StUNetPerfusionError
from stunet_perfusion.support.resources import RESOURCES
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.labelText import ERROR_COLOR, asLabel, asLines, say
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.presets import applyPreset, matchingPreset, presetLabels
from StUNetPerfusionLib.process.installing import installWithConsent
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

_RECENT_FILES = "StUNetPerfusion/RecentCheckpoints"
_MOST_RECENT = 5

#: Keeps a number and its unit on one line.
_NO_BREAK = "\u00a0"

_NETWORKS = {"stunet": "stU-Net", "hess": "Hess", "ulas": "Ulas"}


class ModelSection:
    """Lets the user choose a network and a device, and says what they are.

    :param ui: the widgets of the panel
    :param case: what is chosen
    :param runs: does what takes time
    :param onReady: another network can run now, or none
    :param onEnvironment: it is known what this computer can do
    """

    def __init__(
        self, ui, case: ChosenCase, runs: PanelRuns, onReady: Callable[[], None], onEnvironment: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._case = case
        self._runs = runs
        self._onReady = onReady
        self._onEnvironmentKnown = onEnvironment
        self._environment: dict | None = None
        self._described: tuple[str, float] | None = None
        self._looking = False
        ui.presetComboBox.connect("activated(int)", self._onPresetChosen)
        ui.checkpointComboBox.connect("activated(int)", self._onCheckpointChosen)
        ui.browseCheckpointButton.clicked.connect(self.onBrowse)
        ui.deviceComboBox.connect("activated(int)", self._onDeviceChosen)
        ui.installButton.clicked.connect(self.onInstall)
        say(self._ui.environmentLabel, _("Looking at this computer…"))

    @property
    def ready(self) -> bool:
        """Whether a network can run: everything is installed, and the checkpoint can be read."""
        environment = self._environment
        runs = environment is not None and bool(environment["torch"]) and not self._unusable()
        return runs and self._described is not None and self._deviceIsHere()

    def _deviceIsHere(self) -> bool:
        """Whether this computer has the chosen device, as far as is known."""
        devices = (self._environment or {}).get("devices", [])
        chosen = self._case.parameters.device if self._case.parameters is not None else "auto"
        return chosen == "auto" or not devices or any(device["name"] == chosen for device in devices)

    def _unusable(self) -> list[str]:
        """Packages that are not there, or there but cannot be loaded: a half-finished installation looks whole."""
        return [*self._environment["missing"], *self._environment.get("broken", {})]

    def refresh(self) -> None:
        """Show what the parameters hold."""
        self._refreshPresets()
        self._refreshCheckpoints()
        self._refreshDevices()

    def lookAtEnvironment(self) -> None:
        """Ask the worker what this computer can do."""
        if self._looking:
            return
        run = self._runs.start(lambda: self._runs.logic.environment(waitForCompletion=False))
        if run is not None:
            self._looking = True
            run.onFinished = self._onEnvironment

    def enter(self) -> None:
        """The user comes to the panel: what could not run before may run now."""
        if self._environment is None or self._unusable():
            self.lookAtEnvironment()

    def hasPackage(self, name: str) -> bool:
        """Whether a package is installed where the worker runs."""
        return bool((self._environment or {}).get("packages", {}).get(name))

    def deviceLabel(self, name: str) -> str:
        """What people call a device; its own name where the worker has not told yet."""
        devices = (self._environment or {}).get("devices", [])
        return next((device["label"] for device in devices if device["name"] == name), name)

    def chosenDevice(self) -> str:
        """The device that "auto" stands for, or the one that was chosen."""
        chosen = self._case.parameters.device
        return (self._environment or {}).get("auto", "cpu") if chosen == "auto" else chosen

    def onBrowse(self) -> None:
        """Ask for a checkpoint."""
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Choose a trained network"), "", _("Checkpoints") + " (*.safetensors)"
        )
        if path:
            self._case.parameters.checkpoint = path
            recent = [path, *(other for other in _recentCheckpoints() if other != path)]
            slicer.app.userSettings().setValue(_RECENT_FILES, recent[:_MOST_RECENT])

    def onInstall(self) -> None:
        """Install what is missing, if the user agrees; then look again, in a process of its own."""
        with self._runs.sayingWhatWentWrong():
            if installWithConsent(self._unusable(), self._runs.say):
                self._runs.logic.stop()  # the next worker sees what was installed
                say(self._ui.environmentLabel, _("Installed. Checking that PyTorch runs…"))
                self.lookAtEnvironment()

    def _onEnvironment(self, run) -> None:
        self._looking = False
        if run.result is None:
            say(self._ui.environmentLabel, asLabel(run.sentence))
            return
        self._environment = run.result
        missing = run.result["missing"]
        if missing:
            names = ", ".join({"torch": "PyTorch"}.get(name, name) for name in missing)
            say(self._ui.environmentLabel, _("To run networks, {names} must be installed first.").format(names=names))
        elif run.result.get("broken"):
            say(self._ui.environmentLabel, asLabel(" ".join(run.result["broken"].values())))
        else:
            say(
                self._ui.environmentLabel,
                _("Ready: PyTorch {torch}, Python {python}").format(
                    torch=run.result["torch"], python=run.result["python"]
                ),
            )
        self._ui.installButton.visible = bool(self._unusable())
        self._refreshDevices()
        self._onEnvironmentKnown()

    def _refreshDevices(self) -> None:
        box = self._ui.deviceComboBox
        wasBlocked = box.blockSignals(True)
        box.clear()
        devices = (self._environment or {}).get("devices", [])
        auto = (self._environment or {}).get("auto")
        box.addItem(_("Automatic: {device}").format(device=self.deviceLabel(auto)) if auto else _("Automatic"), "auto")
        for device in devices:
            box.addItem(device["label"], device["name"])
        parameters = self._case.parameters
        if parameters.device != "auto" and box.findData(parameters.device) < 0:
            name = parameters.deviceLabel or parameters.device
            here = self._deviceIsHere()
            box.addItem(name if here else _("{name}: not on this computer").format(name=name), parameters.device)
        box.currentIndex = max(box.findData(parameters.device), 0)
        box.blockSignals(wasBlocked)

    def _refreshPresets(self) -> None:
        box = self._ui.presetComboBox
        wasBlocked = box.blockSignals(True)
        box.clear()
        for name, label in presetLabels().items():
            box.addItem(label, name)
        chosen = matchingPreset(self._case.parameters)
        if chosen is None:
            box.addItem(_("Other"), "")
        box.currentIndex = box.findData(chosen or "")
        box.blockSignals(wasBlocked)

    def _onPresetChosen(self, index: int) -> None:
        name = str(self._ui.presetComboBox.itemData(index))
        if name:
            applyPreset(self._case.parameters, name)

    def _refreshCheckpoints(self) -> None:
        box = self._ui.checkpointComboBox
        chosen = self._case.parameters.checkpoint
        wasBlocked = box.blockSignals(True)
        box.clear()
        for path in _shippedCheckpoints():
            box.addItem(_("{name} (ships with the extension)").format(name=_nameOf(path)), str(path))
        for path in dict.fromkeys([*([chosen] if chosen else []), *_recentCheckpoints()]):
            if box.findData(path) < 0:
                box.addItem(Path(path).name, path)
        box.currentIndex = max(box.findData(chosen), 0)
        box.blockSignals(wasBlocked)
        self._describe(str(box.itemData(box.currentIndex) or ""))

    def _describe(self, path: str) -> None:
        # Another file may lie there by now, or none.
        now = (path, Path(path).stat().st_mtime) if Path(path).is_file() else None
        if now is not None and now == self._described:
            return
        self._described = None
        try:
            say(self._ui.checkpointLabel, _description(describe(path)))
            self._described = now
        except StUNetPerfusionError as error:
            say(self._ui.checkpointLabel, asLabel(inPanelWords(error), ERROR_COLOR))
        self._onReady()

    def _onCheckpointChosen(self, index: int) -> None:
        path = str(self._ui.checkpointComboBox.itemData(index))
        # The one that ships is remembered as such, so that a scene can be opened on another computer.
        self._case.parameters.checkpoint = "" if index == 0 else path

    def _onDeviceChosen(self, index: int) -> None:
        device = str(self._ui.deviceComboBox.itemData(index))
        self._case.parameters.deviceLabel = self.deviceLabel(device)
        self._case.parameters.device = device


def _shippedCheckpoints() -> list[Path]:
    """The default first."""
    return sorted(
        (RESOURCES / "Checkpoints").glob("*.safetensors"), key=lambda path: (path.stem != "stunet", path.stem)
    )


def _recentCheckpoints() -> list[str]:
    recent = slicer.app.userSettings().value(_RECENT_FILES) or ()
    recent = (recent,) if isinstance(recent, str) else recent
    return [path for path in recent if Path(path).is_file()]


def _nameOf(path: Path) -> str:
    try:
        network = describe(path)["network"]
    except StUNetPerfusionError:
        return path.name
    return (
        f"{_NETWORKS.get(network, network)}, {path.stem}" if path.stem != network else _NETWORKS.get(network, network)
    )


def _description(document: dict) -> str:
    """What a checkpoint is, in a few lines."""
    lines = [
        asLabel(
            _("{network}, {size:.1f} MB, license {license}").format(
                network=_NETWORKS.get(document["network"], document["network"]),
                size=document["size_bytes"] / 1e6,
                license=document["licence"],
            )
        )
    ]
    training, scores = document["training"], document["scores"]
    lines += [asLabel(sentence) for sentence in _trainingSentences(training)]
    if isinstance(scores.get("by_dose"), dict):
        reached = [
            f"{100 * float(dose):g}{_NO_BREAK}%:{_NO_BREAK}{values['correlation']:.3f}"
            for dose, values in scores["by_dose"].items()
            if isinstance(values, dict) and isinstance(values.get("correlation"), float)
        ]
        lines.append(
            asLabel(
                _("Correlation with the true CBV ({on}): {scores}").format(
                    on=scores.get("on", "?"), scores=", ".join(reached)
                )
            )
        )
    return asLines(*lines)


def _trainingSentences(training: dict) -> list[str]:
    """On what a network was trained, at which doses, and what that does not show."""
    heads = training.get("heads")
    if isinstance(heads, dict) and heads:
        told = [_("Trained on simulated scans ({count} heads).").format(count=len(heads))]
        told += _doses(training)
        return [" ".join([*told, _("Not validated on patients.")])]
    if training.get("data"):
        return [" ".join([_("Trained on {data}.").format(data=training["data"]), *_doses(training)])]
    return []


def _doses(training: dict) -> list[str]:
    """At which doses a network was trained, as far as its settings tell."""
    settings = training.get("settings")
    dose = settings.get("dose") if isinstance(settings, dict) else None
    try:
        if dose["shares"]:
            return [
                _("Works at {doses} % dose.").format(doses=", ".join(f"{100 * share:g}" for share in dose["shares"]))
            ]
        lowest, highest = (f"{100 * dose[name]:g}" for name in ("lowest", "highest"))
        return [_("Works at {lowest}-{highest} % dose.").format(lowest=lowest, highest=highest)]
    except (KeyError, TypeError):
        return []
