"""`pip install` of the repository: the wheel holds all that a prediction needs, and runs where nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from science.small_cases import write_small_case
from stunet_perfusion import __version__

ROOT = Path(__file__).resolve().parents[2]

#: What a wheel is built from.
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "StUNetPerfusion")

_BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def without_our_paths() -> dict[str, str]:
    """The environment, but for what leads Python to the source tree."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools writes beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, source / name)
    words = [sys.executable, "-c", _BUILD, str(folder)]
    subprocess.run(words, cwd=source, env=without_our_paths(), check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment with the wheel in it.

    Third-party packages are those that the tests run with; nothing is downloaded. A .pth file names their folder, whose
    own .pth files Python does not follow, so that an editable installation of the source tree is not seen.
    """
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    place = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", "venv", place))
    own = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "of_the_tests.pth").write_text("".join(f"{path}\n" for path in sorted(own)), encoding="utf-8")
    folder = Path(sysconfig.get_path("scripts", "venv", place))
    python = folder / Path(sys.executable).name
    words = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), *words],
        env=without_our_paths(),
        check=True,
        capture_output=True,
    )
    return folder


def run(*words: str | Path) -> str:
    done = subprocess.run(words, env=without_our_paths(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_module_and_what_ships(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    package, resources = ROOT / "StUNetPerfusion" / "stunet_perfusion", ROOT / "StUNetPerfusion" / "Resources"
    modules = {path.relative_to(package.parent).as_posix() for path in package.rglob("*.py")}
    shipped = {
        f"stunet_perfusion/shipped_resources/{path.relative_to(resources).as_posix()}"
        for folder in ("Checkpoints", "ColorTables")
        for path in (resources / folder).iterdir()
    }
    assert len(shipped) >= 2
    assert names == modules | shipped | {"stunet_perfusion/py.typed"}


def test_an_installed_wheel_predicts(scripts: Path, tmp_path: Path) -> None:
    where = run(scripts / "python", "-c", "import stunet_perfusion; print(stunet_perfusion.__file__)")
    assert Path(where.strip()).is_relative_to(scripts.parent)
    program = scripts / "stunet-perfusion"
    assert run(program, "--version") == f"stunet-perfusion {__version__}\n"
    case = write_small_case(tmp_path, "case")
    run(program, "predict", case.series, "--mask", case.files["mask"], "--output", tmp_path / "maps", "--device", "cpu")
    assert (tmp_path / "maps" / "cbv.nii.gz").is_file()
    colors = "from stunet_perfusion.support.colormap import perfusion_colors; print(len(perfusion_colors()))"
    assert run(scripts / "python", "-c", colors) == "256\n"
