"""What can be computed with."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stunet_perfusion import __version__
from stunet_perfusion.support.processors import default_threads, processors
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Environment
from stunet_perfusion.worker.session import Session

#: Everything that is needed, by the name that it is imported by, with the name that it is installed by.
PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "SimpleITK": "SimpleITK",
    "pydicom": "pydicom",
    "nibabel": "nibabel",
    "skimage": "scikit-image",
    "safetensors": "safetensors",
    "torch": "torch",
}

#: Needed for a part only, and told without loading it.
OPTIONAL_PACKAGES = ("highdicom",)


def run(request: Environment, job: Job, session: Session) -> dict[str, Any]:
    """Load every package, which is the only proof that it is whole, and ask torch for devices."""
    packages: dict[str, str | None] = dict.fromkeys(PACKAGES)
    missing: list[str] = []
    broken: dict[str, str] = {}
    for done, (name, distribution) in enumerate(PACKAGES.items()):
        job.progress(done / len(PACKAGES), f"Looking for {distribution}")
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                missing.append(name)
            else:
                broken[name] = _sentence(name, error)
        except Exception as error:  # a package that is half installed fails in any way
            broken[name] = _sentence(name, error)
        else:
            packages[name] = _version_of(module, distribution)
    for distribution in OPTIONAL_PACKAGES:
        packages[distribution] = _installed(distribution)
    devices: list[dict[str, Any]] = []
    auto = None
    if packages["torch"] is not None:
        try:
            from stunet_perfusion.support.devices import choose_device, list_devices

            devices, auto = [asdict(device) for device in list_devices(processors())], choose_device()
        except Exception as error:
            packages["torch"], broken["torch"] = None, _sentence("torch", error)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": processors(),
        "default_threads": default_threads(),
        "version": __version__,
        "packages": packages,
        "torch": packages["torch"],
        "torch_error": broken.get("torch"),
        "missing": missing,
        "broken": broken,
        "devices": devices,
        "auto": auto,
    }


def _sentence(name: str, error: Exception) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{name} is installed, but cannot be loaded ({reason}); install it again."


def _version_of(module: Any, distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return str(getattr(module, "__version__", "unknown"))


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
