"""What the panel's users read goes through the translator `_()`; read from the text of the code, without Slicer."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "StUNetPerfusion" / "StUNetPerfusionLib"
FILES = sorted(file.relative_to(LIBRARY).as_posix() for file in LIBRARY.rglob("*.py") if file.name != "selfTest.py")

#: Texts of several words that are not translated, and why.
NOT_TRANSLATED = {
    # names by which nodes are found again, also in scenes that were saved in another language
    "scene/colors.py": ("CBV (StUNetPerfusion)", "Difference (StUNetPerfusion)"),
    # facts that are saved with a result and compared later
    "process/computations.py": ("segment ", "volume ", "points "),
    "scene/segmentFingerprints.py": ("surface ",),
    # the segment's English name tells its role
    "process/sampleData.py": ("normal white matter",),
    # values of DICOM attributes
    "process/dicomExport.py": ("CNN of Hess et al.", "CNN of Ulas et al.", "closed form"),
    # endings of files
    "panel/inputSection.py": (" (*.nii *.nii.gz *.nrrd *.nhdr *.dcm *.ima *.IMA *.DCM);;",),
    "panel/resultExport.py": ("CSV (*.csv)", "PDF (*.pdf);;PNG (*.png)"),
    # names that Slicer, NRRD or Qt have
    "process/installing.py": ("StUNet Perfusion",),
    "scene/masks.py": ("Binary labelmap",),
    "scene/nodeFrames.py": ("axis 0 index values",),
    "scene/report.py": ("Sans Serif",),
    # a fault of ours
    "scene/results.py": (" has the shape ", ", not "),
}


def translated(tree: ast.Module) -> set[int]:
    """Everything within `_()` or `translate()`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        id(part)
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("_", "translate")
        for part in ast.walk(call)
    }


def documentation(tree: ast.Module) -> set[int]:
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False)
    }


def texts(node: ast.AST) -> list[ast.Constant]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name


def is_words(text: str) -> bool:
    """Whether a text has more than one word, and is no HTML."""
    return "<" not in text and re.search(r"[A-Za-z]{2,} |[A-Za-z] [a-z]{2,}", text) is not None


@pytest.mark.parametrize("name", FILES)
def test_texts_of_several_words_are_translated(name: str) -> None:
    tree = ast.parse((LIBRARY / name).read_text(encoding="utf-8"))
    known = translated(tree) | documentation(tree)
    found = [text.value for text in texts(tree) if id(text) not in known and is_words(text.value)]
    # Within an f-string that is HTML, a tag's attributes are parts of their own.
    found = [
        text for text in found if text not in NOT_TRANSLATED.get(name, ()) and not re.search(r"=[\"']|[\"']>", text)
    ]
    assert not found


@pytest.mark.parametrize("name", FILES)
def test_what_is_said_is_translated(name: str) -> None:
    """Single words too: what an error says, and what stands on a widget."""
    tree = ast.parse((LIBRARY / name).read_text(encoding="utf-8"))
    said: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            said += {
                **dict.fromkeys(("InputError", "OutputError"), node.args[1:]),
                **dict.fromkeys(("WorkerError", "Cancelled", "Turn", "sayPreview"), node.args[:1]),
                "say": [argument for argument in node.args if isinstance(argument, (ast.Constant, ast.JoinedStr))],
                "addItem": node.args[:1],
            }.get(called, [])
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") in ("text", "toolTip"):
            said.append(node.value)
    keys = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
    keys |= {id(part) for node in ast.walk(tree) if is_call_of(node, "get") for part in ast.walk(node)}
    known = translated(tree) | keys
    words = [text.value for each in said for text in texts(each) if id(text) not in known]
    assert not [word for word in words if re.search(r"[a-z]{2,}", word)]


def test_no_two_files_have_one_name() -> None:
    names = [file.name for file in LIBRARY.rglob("*.py") if file.name != "__init__.py"]
    assert sorted(set(names)) == sorted(names)


def test_a_section_of_the_panel_does_not_know_the_panel() -> None:
    for file in (LIBRARY / "panel").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert file.name == "panel.py" or not re.search(r"\bpanel\.panel\b|\b_?panel\.[a-z]\w*[.(]", text), file.name


#: Each knows only those before it.
ROOMS = ("translation", "settingNames", "parameterNode", "scene", "process", "logic", "panel")


def test_a_room_of_the_library_knows_only_rooms_before_it() -> None:
    for name in FILES:
        room = name.split("/")[0].removesuffix(".py")
        for node in ast.walk(ast.parse((LIBRARY / name).read_text(encoding="utf-8"))):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if room in ROOMS and module.startswith("StUNetPerfusionLib."):
                known = module.split(".")[1]
                assert ROOMS.index(known) <= ROOMS.index(room), (name, module)
