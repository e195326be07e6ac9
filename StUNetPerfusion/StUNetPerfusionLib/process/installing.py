"""Installing what the networks need, with the user's consent and through Slicer's own ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import slicer

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import RESOURCES
from StUNetPerfusionLib.translation import tr as _

#: What `dicom_export` needs.
EXPORT_REQUIREMENT = "highdicom>=0.28"

#: The oldest PyTorch that the networks run on.
TORCH_REQUIREMENT = ">=2.5"


def installWithConsent(missing: Sequence[str], say: Callable[[str], None]) -> bool:
    """Install PyTorch by the PyTorch extension, and the other packages from `Resources/requirements.txt`.

    Nothing is loaded into this process: whether it works is found out by the worker afterwards, because a half-finished
    installation looks complete to pip.

    :param missing: import names of the packages that are not there
    :param say: shows one sentence
    :returns: whether something was installed; False where the user declined
    :raises InputError: the PyTorch extension is not there, or an installation failed
    """
    names = ", ".join("PyTorch" if name == "torch" else name for name in missing)
    question = _(
        "To run networks, these packages are downloaded and installed into this Slicer: {names}.\n\n"
        "PyTorch is large (up to 3 GB with graphics card support). Continue?"
    )
    if not slicer.util.confirmOkCancelDisplay(question.format(names=names), _("Install packages")):
        return False
    if "torch" in missing:
        say(_("Installing PyTorch…"))
        _installTorch()
    others = [name for name in missing if name != "torch"]
    if others:
        say(_("Installing {names}…").format(names=", ".join(others)))
        _installRequirements()
    return True


def installForExport() -> bool:
    """Install what DICOM export needs.

    :returns: whether it was installed; False where the user declined
    :raises InputError: the installation failed
    """
    question = _(
        "To write DICOM, the package highdicom (20 MB) must be installed into this Slicer. Download and install it?"
    )
    if not slicer.util.confirmOkCancelDisplay(question, _("Install packages")):
        return False
    _pipInstall([EXPORT_REQUIREMENT])
    return True


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ImportError:
        raise InputError(
            _("PyTorch"),
            _("cannot be installed without the PyTorch extension"),
            _("install it with the Extensions Manager, and restart Slicer"),
        ) from None
    try:
        PyTorchUtils.PyTorchUtilsLogic().installTorch(torchVersionRequirement=TORCH_REQUIREMENT)
    except Exception as error:
        raise InputError(
            _("PyTorch"),
            _("was not installed ({reason})").format(reason=error),
            _("check the connection, or install it in the module PyTorch Utils"),
        ) from error


def _installRequirements() -> None:
    lines = (RESOURCES / "requirements.txt").read_text(encoding="utf-8").splitlines()
    _pipInstall([line for line in lines if line and not line.startswith("#")])


def _pipInstall(requirements: Sequence[str]) -> None:
    try:
        try:
            # Slicer 5.12 brings a way that shows progress and keeps Slicer's own packages as they are.
            from slicer import packaging
        except ImportError:
            slicer.util.pip_install(" ".join(f'"{requirement}"' for requirement in requirements))
        else:
            packaging.pip_ensure(list(requirements), prompt_install=False, requester="StUNet Perfusion")
    except Exception as error:
        raise InputError(
            _("Packages"),
            _("were not installed ({reason})").format(reason=error),
            _("check the connection, and try again"),
        ) from error
