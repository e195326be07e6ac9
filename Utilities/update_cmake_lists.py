"""Write the lists of scripts and resources in StUNetPerfusion/CMakeLists.txt: what is not listed is not packaged.

python Utilities/update_cmake_lists.py
"""

from __future__ import annotations

import re
from pathlib import Path

MODULE = Path(__file__).resolve().parent.parent / "StUNetPerfusion"

#: What neither the panel nor its worker runs: the command line, and what only it calls. 3D Slicer does not get them.
NOT_FOR_SLICER = (
    "stunet_perfusion/__main__.py",
    *(f"stunet_perfusion/{room}/" for room in ("benchmarks", "cli", "cohort", "evaluation", "qin", "training")),
)


def shipped_files() -> tuple[list[str], list[str]]:
    """The scripts that 3D Slicer runs and all resources below StUNetPerfusion/, as sorted paths relative to it."""
    paths = [path.relative_to(MODULE) for path in MODULE.rglob("*") if path.is_file()]
    names = sorted(
        path.as_posix() for path in paths if not any(part.startswith((".", "__pycache__")) for part in path.parts)
    )
    # CMake takes every script for Python, so what tells type checkers to read the package is a resource.
    resources = [name for name in names if name.startswith("Resources/") or name.endswith("/py.typed")]
    scripts = [name for name in names if name.endswith(".py") and not name.startswith(NOT_FOR_SLICER)]
    return [name for name in scripts if name not in resources], resources


def listed_files(text: str, variable: str) -> list[str]:
    """The words of `set(variable ...)` in a CMake file."""
    return re.search(rf"^set\({variable}\n(.*?)\)", text, re.DOTALL | re.MULTILINE)[1].split()


def main() -> None:
    path = MODULE / "CMakeLists.txt"
    text = path.read_text()
    for variable, names in zip(("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"), shipped_files(), strict=True):
        names = ["${MODULE_NAME}.py" if name == "StUNetPerfusion.py" else name for name in names]
        block = f"set({variable}\n" + "".join(f"  {name}\n" for name in names) + "  )"
        text = re.sub(rf"^set\({variable}\n.*?\)", lambda _, block=block: block, text, flags=re.DOTALL | re.MULTILINE)
    path.write_text(text)


if __name__ == "__main__":
    main()
