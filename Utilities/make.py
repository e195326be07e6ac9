#!/usr/bin/env python3
"""What the Makefile does, where there is no make: python Utilities/make.py demo|test|coverage|fuzz|install

Makes .venv with the pinned packages and this package where it is missing or out of date, with the Python that runs
this.
A test holds the commands to those of the Makefile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"

#: Where virtual environments have their programs.
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")

#: What .venv was made from; the same text means that nothing has to be installed. `install.sh` writes it, too.
STAMP = VENV / "installed"

#: The oldest and the newest Python that the pinned packages are made for.
PYTHONS = (3, 10), (3, 13)

#: What every target runs, as in the Makefile; the first word is a program of .venv.
TARGETS = {
    "install": [],
    "demo": ["stunet-perfusion demo --output demo"],
    "test": [
        "ruff check .",
        "ruff format --check .",
        "mypy",
        "python -m pytest --durations=10",
    ],
    "fuzz": ["python -m pytest Testing/science/test_any_bytes.py --durations=5 --fuzz=1800"],
    "coverage": [
        "python -m pip install --quiet pytest-cov==7.1.0",
        "python -m pytest --cov=stunet_perfusion --cov-report=term-missing:skip-covered",
    ],
}


def wanted() -> bytes:
    """What .venv is to be made from."""
    return (ROOT / "requirements-pinned.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes()


def install() -> None:
    """Make .venv, or do nothing where that has been done."""
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        sys.exit(
            f"error: Python 3.10 to 3.13 is needed, and this is {sys.version.split()[0]}; run this with another one"
        )
    if STAMP.is_file() and STAMP.read_bytes() == wanted():
        return
    if not PROGRAMS.is_dir():
        print("Making .venv")
        venv.create(VENV, with_pip=True)
    print("Installing the pinned packages into .venv (PyTorch is large: this takes some minutes)", flush=True)
    run("python -m pip install --quiet --requirement requirements-pinned.txt")
    run("python -m pip install --quiet --no-deps --no-build-isolation --editable .")
    STAMP.write_bytes(wanted())


def run(command: str) -> None:
    """Run a program of .venv in the root of the repository; where it fails, end with its status."""
    program, *arguments = command.split()
    status = subprocess.run([PROGRAMS / program, *arguments], cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status)


def main(words: list[str]) -> None:
    if len(words) != 1 or words[0] not in TARGETS:
        sys.exit(f"usage: python Utilities/make.py {'|'.join(TARGETS)}")
    install()
    for command in TARGETS[words[0]]:
        run(command)


if __name__ == "__main__":
    main(sys.argv[1:])
