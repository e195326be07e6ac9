"""The rooms of the package in the order in which data flow: no room knows one that comes after it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "StUNetPerfusion" / "stunet_perfusion"

#: Each knows only those before it. `Documentation/architecture.md` draws the same.
ROOMS = (
    *("support", "series", "cases", "reading", "writing", "dicom_export", "preprocessing", "kinetics", "metrics"),
    "registration",
    *("dose", "curve_fit", "regions", "networks", "inference", "phantom", "runs", "api", "training", "evaluation"),
    *("cohort", "qin", "benchmarks", "worker", "cli", "__main__"),
)


def modules() -> dict[str, Path]:
    """All modules by their dotted name below the package; a sub-package is named as its folder."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of the package that a module imports, at any depth of its text."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stunet_perfusion."):
            module = node.module.removeprefix("stunet_perfusion.")
            found |= {f"{module}.{name.name}" if f"{module}.{name.name}" in known else module for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                name.name.removeprefix("stunet_perfusion.")
                for name in node.names
                if name.name.startswith("stunet_perfusion.")
            }
    return found


def room_of(module: str) -> str:
    return module.split(".")[0]


def test_every_module_is_in_a_room_that_the_order_names() -> None:
    assert {room_of(name) for name in modules() if name} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_rooms_before_it(room: str) -> None:
    known = modules()
    own = {name: path for name, path in known.items() if room_of(name) == room}
    backwards = {
        (name, other)
        for name, path in own.items()
        for other in imports_of(path, known)
        if ROOMS.index(room_of(other)) > ROOMS.index(room)
    }
    assert not backwards


def test_no_module_imports_itself_in_a_circle() -> None:
    known = modules()
    arrows = {name: imports_of(path, known) - {name} for name, path in known.items()}
    while leaves := {name for name, to in arrows.items() if not to & arrows.keys()}:
        arrows = {name: to for name, to in arrows.items() if name not in leaves}
    assert not arrows


def test_the_science_does_not_know_slicer() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {"slicer", "qt", "ctk", "vtk"}, path
