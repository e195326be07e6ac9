"""What 3D Slicer gets: every module that its panel and its worker import, at any depth, and the packages of these."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "StUNetPerfusion"

#: Packages of Slicer's own Python.
IN_SLICER = {"SimpleITK", "numpy", "pydicom", "qt", "SampleData", "scipy", "slicer", "vtk"}

#: Slicer's PyTorch extension installs torch, as `PyTorchUtils`.
BY_PYTORCH_EXTENSION = {"PyTorchUtils", "torch"}

#: Asked for where they are needed: DICOM export offers to install highdicom. The sample's head is drawn, and nilearn's
#: is not asked for.
OPTIONAL = {"highdicom", "nilearn"}

#: Where a package is not imported by the name that it is installed by.
INSTALLED_AS = {"skimage": "scikit-image"}


@cache
def modules() -> dict[str, Path]:
    """All modules that could be shipped, by their dotted name; a package is named as its folder."""
    found = {}
    for package in ("stunet_perfusion", "StUNetPerfusionLib"):
        for path in (MODULE / package).rglob("*.py"):
            parts = path.relative_to(MODULE).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path) -> Iterator[str]:
    """What a file imports, within functions too, but not what only a type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = (f"{node.module}.{name.name}" for name in node.names)
            yield from (name if name in modules() else str(node.module) for name in names)


@cache
def reached() -> tuple[frozenset[str], frozenset[str]]:
    """Own modules that Slicer comes to from its module file, its panel and the jobs of its worker; foreign packages."""
    seen: set[str] = set()
    foreign: set[str] = set()
    ahead = [name for name in modules() if re.match(r"StUNetPerfusionLib|stunet_perfusion\.worker\b", name)]
    ahead += list(imports_of(MODULE / "StUNetPerfusion.py"))
    while ahead:
        parts = ahead.pop().split(".")
        if parts[0] not in modules():
            foreign.add(parts[0])
            continue
        # With a module, every package that it is in is loaded.
        for name in {".".join(parts[:length]) for length in range(1, len(parts) + 1)} - seen:
            seen.add(name)
            ahead += imports_of(modules()[name])
    return frozenset(seen), frozenset(foreign - sys.stdlib_module_names)


def test_every_module_that_slicer_comes_to_is_packaged() -> None:
    listed = set((MODULE / "CMakeLists.txt").read_text(encoding="utf-8").split())
    own, _ = reached()
    assert "stunet_perfusion.inference.predict" in own
    assert {modules()[name].relative_to(MODULE).as_posix() for name in own} <= listed


def test_the_command_line_and_what_only_it_calls_is_not_packaged() -> None:
    listed = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    for room in ("benchmarks", "cli", "cohort", "evaluation", "qin", "training"):
        assert f"stunet_perfusion/{room}/" not in listed


def test_slicer_installs_the_packages_that_its_worker_imports_and_no_other() -> None:
    lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {re.split("[<>=]", line)[0] for line in lines if line and not line.startswith("#")}
    _, foreign = reached()
    needed = foreign - IN_SLICER - BY_PYTORCH_EXTENSION - OPTIONAL
    assert {INSTALLED_AS.get(name, name) for name in needed} == required


def test_the_panel_asks_the_worker_about_these_packages() -> None:
    from stunet_perfusion.worker.jobs.environment import PACKAGES

    _, foreign = reached()
    assert set(PACKAGES) == foreign - OPTIONAL - {"PyTorchUtils", "SampleData", "ctk", "qt", "slicer", "vtk"}
