"""The extension's papers: what is not listed is not packaged, and what the catalog refuses is not published."""

from __future__ import annotations

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stunet_perfusion.support.colormap import COLOR_TABLE, perfusion_colors

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "StUNetPerfusion"


@pytest.fixture
def lists():
    """Utilities/update_cmake_lists.py"""
    specification = spec_from_file_location("update_cmake_lists", ROOT / "Utilities" / "update_cmake_lists.py")
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_script_and_resource_is_listed(lists):
    text = (MODULE / "CMakeLists.txt").read_text().replace("${MODULE_NAME}", "StUNetPerfusion")
    for variable, shipped in zip(
        ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"), lists.shipped_files(), strict=True
    ):
        assert lists.listed_files(text, variable) == shipped, "run: python Utilities/update_cmake_lists.py"


def test_slicer_takes_no_other_file_for_a_module():
    """The module, and the plugin that the DICOM browser asks, which Slicer finds as a module, too."""
    assert sorted(path.name for path in MODULE.glob("*.py")) == ["DICOMStUNetPerfusionPlugin.py", "StUNetPerfusion.py"]


def extension(name: str) -> str:
    """A value of the extension's CMakeLists.txt: one quoted line each, or the build system does not read it."""
    (value,) = re.findall(
        rf'^set\(EXTENSION_{name} "([^"\n]+)"\)$', (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE
    )
    return value


def test_catalog_entry_follows_the_schema_and_the_extension():
    entry = json.loads((ROOT / "StUNetPerfusion.json").read_text())
    assert entry.pop("$schema").endswith("/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert entry == {
        "build_dependencies": extension("DEPENDS").split(),
        "build_subdirectory": ".",
        "category": extension("CATEGORY"),
        "scm_revision": "main",
        "scm_url": extension("HOMEPAGE"),
        "tier": 1,
    }
    assert extension("CATEGORY") == "Quantification"
    assert extension("DEPENDS") == "PyTorch"


def test_addresses_in_the_papers_lead_to_files_that_exist():
    repository = extension("HOMEPAGE").removeprefix("https://github.com/")
    for name in ("ICONURL", "SCREENSHOTURLS"):
        for address in extension(name).split():
            path = address.removeprefix(f"https://raw.githubusercontent.com/{repository}/main/")
            assert (ROOT / path).is_file(), address


def test_license_is_mit_at_the_root():
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n\nCopyright (c) 2026 StUNetPerfusion maintainers\n")
    assert 'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND' in text


def test_icons_are_128_pixels_and_the_same():
    names = (ROOT / "StUNetPerfusion.png", MODULE / "Resources" / "Icons" / "StUNetPerfusion.png")
    outer, inner = (np.asarray(Image.open(name).convert("RGBA")) for name in names)
    assert outer.shape == (128, 128, 4)
    np.testing.assert_array_equal(outer, inner)


def test_slicer_installs_the_versions_that_the_package_asks_for():
    """Which packages they are, and that Slicer needs them, `test_slicer_needs` says."""
    project = (ROOT / "pyproject.toml").read_text()
    dependencies = re.findall(r'"([^"]+)"', re.search(r"^dependencies = \[(.*?)\]", project, re.S | re.M)[1])
    lines = (MODULE / "Resources" / "requirements.txt").read_text().splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    assert wanted <= set(dependencies)


def test_every_dependency_is_pinned():
    project = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|demo|test) = \[(.*?)\]", project, re.S | re.M)
    names = {name.lower() for text in lists for name in re.findall(r'"([A-Za-z-]+)>=', text)}
    pins = (ROOT / "requirements-pinned.txt").read_text()
    pinned = {name.lower() for name in re.findall(r"^([A-Za-z-]+)==", pins, re.MULTILINE)}
    assert len(names) >= 14
    assert names <= pinned
    assert "torch==2.13.0" in pins.splitlines()


def test_color_table_is_black_at_zero_and_even_to_the_eye():
    colors = perfusion_colors()
    assert colors.shape == (256, 3)
    np.testing.assert_array_equal(colors[0], 0)
    blue, green, red = (colors[index] for index in (70, 140, 255))
    assert np.argmax(blue) == 2
    assert np.argmax(green) == 1
    assert np.argmax(red) == 0
    from skimage.color import rgb2lab

    lab = rgb2lab(colors[None])[0]
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    # 8-bit rounding alone moves a color by up to 1 unit of CIELAB.
    assert steps.max() - steps.min() < 2
    assert (np.diff(lab[:180, 0]) > -0.2).all()


def test_color_table_has_256_rows_in_order_and_is_opaque():
    rows = [line.split() for line in COLOR_TABLE.read_text().splitlines() if not line.startswith("#")]
    assert [int(row[0]) for row in rows] == list(range(256))
    assert {row[5] for row in rows} == {"255"}
