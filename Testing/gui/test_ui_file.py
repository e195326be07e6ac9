"""The .ui file against the code: names that do not match show only when a user gets there."""

from __future__ import annotations

import ast
import re
from xml.etree import ElementTree

import pytest

from gui.standins import MODULE_FILE

UI_FILE = MODULE_FILE.parent / "Resources" / "UI" / "StUNetPerfusion.ui"
LIBRARY = MODULE_FILE.parent / "StUNetPerfusionLib"


@pytest.fixture(scope="module")
def widgets() -> dict[str, ElementTree.Element]:
    return {widget.get("name"): widget for widget in ElementTree.parse(UI_FILE).iter("widget")}


def declared_parameters() -> dict[str, ast.expr]:
    tree = ast.parse((LIBRARY / "parameterNode.py").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    parameters = classes["PerfusionParameters"]
    return {node.target.id: node.annotation for node in parameters.body if isinstance(node, ast.AnnAssign)}


def used_widgets() -> set[tuple[str, str]]:
    """(file, widget) of every `ui.name` in the panel."""
    used = set()
    for path in (LIBRARY / "panel").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
                owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                if owner in ("ui", "_ui"):
                    used.add((path.name, node.attr))
    return used


def test_no_two_widgets_share_a_name():
    names = re.findall(r'<widget class="\w+" name="(\w+)"', UI_FILE.read_text())
    assert len(names) > 40
    assert len(names) == len(set(names))


def test_every_widget_that_the_panel_uses_is_in_the_file(widgets):
    used = used_widgets()
    assert len(used) > 30
    assert {(file, name) for file, name in used if name not in widgets} == set()


def test_every_segment_has_its_box(widgets):
    source = ast.parse((LIBRARY / "panel" / "inputSection.py").read_text())
    (regions,) = (
        node.value for node in source.body if isinstance(node, ast.Assign) and node.targets[0].id == "REGIONS"
    )
    names = [key.value for key in regions.keys]
    assert names == ["brain", "tumor", "whiteMatter", "vessel"]
    assert all(f"{name}SegmentComboBox" in widgets for name in names)
    assert all(f"{name}Segment" in declared_parameters() for name in names)


def test_every_parameter_name_is_declared_and_used_once(widgets):
    bound = [
        text.text
        for widget in widgets.values()
        for text in widget.findall("property[@name='SlicerParameterName']/string")
    ]
    assert len(bound) > 12
    assert len(bound) == len(set(bound))
    assert set(bound) <= set(declared_parameters())


def test_number_widgets_reach_as_far_as_their_parameters(widgets):
    """The wrapper cuts a parameter at the range of its widget, or fails."""
    annotations = declared_parameters()
    checked = 0
    for widget in widgets.values():
        parameter = widget.find("property[@name='SlicerParameterName']/string")
        if parameter is None or not isinstance(annotations[parameter.text], ast.Subscript):
            continue
        limits = [
            [ast.literal_eval(argument) for argument in node.args]
            for node in ast.walk(annotations[parameter.text])
            if isinstance(node, ast.Call) and node.func.id == "WithinRange"
        ]
        maximum = widget.find("property[@name='maximum']")
        if limits and maximum is not None:
            assert float(maximum[0].text) == limits[0][1], parameter.text
            checked += 1
    assert checked >= 4


def test_every_scene_widget_is_given_the_scene(widgets):
    connected = {
        connection.findtext("receiver")
        for connection in ElementTree.parse(UI_FILE).iter("connection")
        if connection.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
    }
    of_the_scene = ("qMRMLNodeComboBox", "qMRMLTableView")
    wanted = {name for name, widget in widgets.items() if widget.get("class") in of_the_scene}
    assert len(wanted) >= 5
    assert connected == wanted


def test_what_can_be_pressed_or_chosen_says_what_it_does(widgets):
    plain = {"applyButton", "cancelButton", "exportButton"}
    silent = {
        name
        for name, widget in widgets.items()
        if widget.get("class") in ("QPushButton", "QToolButton", "QComboBox", "ctkSliderWidget", "QCheckBox")
        and widget.find("property[@name='toolTip']") is None
    }
    assert silent <= plain
