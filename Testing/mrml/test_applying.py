"""Apply: prediction, reference, difference and numbers with the real worker, all or nothing."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mrml.cases import FAST, add_regions, add_series, node_ids
from stunet_perfusion.support.errors import InputError, StUNetPerfusionError

#: Plays FSL's program: the quotient of sums over time with S0 from the first frame, which is what it computes.
VERBENA = """#!{python}
import sys
import numpy as np
import SimpleITK as sitk

arguments = dict(zip(sys.argv[1:], sys.argv[2:]))
assert "-modelfree" in sys.argv and "-aifconc" in sys.argv
data = sitk.ReadImage(arguments["-i"] + ".nii")
signal = sitk.GetArrayFromImage(data).astype(float)
aif = sitk.GetArrayFromImage(sitk.ReadImage(arguments["-a"] + ".nii")).astype(float)
mask = sitk.GetArrayFromImage(sitk.ReadImage(arguments["-m"] + ".nii")) > 0
with np.errstate(all="ignore"):
    curve = -np.log(signal / signal[0]) / float(arguments["-te"])
    cbv = np.where(mask, curve.sum(0) / aif.sum(0), 0)
image = sitk.GetImageFromArray(cbv.astype(np.float32))
image.CopyInformation(data[:, :, :, 0])
import pathlib
folder = pathlib.Path(arguments["-o"], "modelfree")
folder.mkdir(parents=True)
sitk.WriteImage(image, str(folder / "cbv.nii.gz"))
"""


def array(volume) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVolume(volume)


def install_verbena(monkeypatch, folder, text: str = VERBENA) -> None:
    program = folder / "verbena"
    program.write_text(text.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_apply_leaves_everything_in_one_folder(scene, perfusion):
    from StUNetPerfusionLib.scene.results import hierarchyOf

    node, segmentation = add_series(scene), add_regions(scene)
    named = {"tumor": (segmentation, "tumor"), "nawm": (segmentation, "white matter")}
    told = []
    run = perfusion.apply(node, 0.5, "noise-matched", waitForCompletion=False, **named, **FAST)
    run.onProgress = lambda fraction, message: told.append(fraction)
    found = run.wait()

    cbv, reference, difference = (array(volume) for volume in (found.cbv, found.reference, found.difference))
    both = (cbv != 0) & (reference != 0)
    np.testing.assert_allclose(difference[both], (cbv - reference)[both], atol=1e-6)
    assert found.reference.GetAttribute("StUNetPerfusion.Dose") == "1"
    hierarchy = hierarchyOf(scene)
    members = (found.cbv, found.uncertainty, found.reference, found.difference, found.table)
    assert len({hierarchy.GetItemParent(hierarchy.GetItemByDataNode(member)) for member in members}) == 1
    names = [found.table.GetCellText(row, 0) for row in range(found.table.GetNumberOfRows())]
    assert names == ["Brain", "Tumor", "Normal white matter", "Tumor / white matter"]
    assert told == sorted(told)
    assert told[-1] == 1


def test_apply_again_takes_the_place_of_the_first(scene, perfusion):
    node = add_series(scene)
    perfusion.apply(node, 0.5, **FAST)
    before = node_ids(scene)
    found = perfusion.apply(node, 0.5, **FAST)
    assert node_ids(scene) == before
    assert found.table is not None


def test_results_are_found_again(scene, perfusion):
    from StUNetPerfusionLib.scene.appliedResult import appliedResults

    node = add_series(scene)
    half = perfusion.apply(node, 0.5, **FAST)
    full = perfusion.apply(node, 1.0, **FAST)
    perfusion.predict(node, 0.25, **FAST)  # no Apply
    found = appliedResults(scene, node)
    assert [result.cbv for result in found] == [half.cbv, full.cbv]
    assert found[0].reference is not found[1].reference  # each has its own, so that each folder is complete
    np.testing.assert_array_equal(array(found[0].reference), array(found[1].reference))
    assert found[0].table is half.table
    other = add_series(scene, name=node.GetName())
    assert appliedResults(scene, other) == []
    node.SetName("renamed")
    assert len(appliedResults(scene, node)) == 2


def test_a_failing_comparison_leaves_the_scene_as_it_was(scene, perfusion, monkeypatch):
    """The maps are there already when it fails."""
    from StUNetPerfusionLib.scene.comparison import Comparison

    node = add_series(scene)
    perfusion.openInput(node)
    before = node_ids(scene)

    def broken(*arguments):
        raise InputError("difference", "fails in this test", "nothing")

    with monkeypatch.context() as patched:
        patched.setattr(Comparison, "difference", broken)
        with pytest.raises(StUNetPerfusionError, match="fails in this test"):
            perfusion.apply(node, 0.5, **FAST)
    left = {scene.GetNodeByID(name) for name in node_ids(scene) - before}
    assert not [other.GetName() for other in left if other.IsA("vtkMRMLVolumeNode") or other.IsA("vtkMRMLTableNode")]
    assert perfusion.apply(node, 0.5, **FAST).table is not None


def test_cancelled_apply_leaves_nothing(scene, perfusion):
    node = add_series(scene)
    perfusion.openInput(node)
    before = node_ids(scene)
    run = perfusion.apply(node, 0.5, waitForCompletion=False, device="cpu")
    run.onProgress = lambda fraction, message: run.cancel() if fraction > 0.2 else None
    with pytest.raises(StUNetPerfusionError, match="Cancelled"):
        run.wait()
    assert node_ids(scene) == before


def test_a_volume_in_the_scene_can_be_the_reference(scene, perfusion):
    from StUNetPerfusionLib.process.applySteps import ReferenceChoice
    from StUNetPerfusionLib.scene.nodeHandle import NodeHandle

    node = add_series(scene)
    other = perfusion.computeReference(node, baseline="first").cbv
    found = perfusion.apply(node, 0.5, reference=ReferenceChoice(NodeHandle(other)), **FAST)
    assert found.reference is other


def test_verbena_of_fsl_is_run_where_it_is_installed(scene, perfusion, monkeypatch, tmp_path):
    from StUNetPerfusionLib.process.applySteps import ReferenceChoice

    install_verbena(monkeypatch, tmp_path)
    node = add_series(scene)
    ours = perfusion.computeReference(node, baseline="first")
    before = perfusion.apply(node, 0.5, **FAST).difference
    found = perfusion.apply(node, 0.5, reference=ReferenceChoice("fsl", baseline="first"), **FAST)
    brain = (array(ours.cbv) != 0) & (array(found.reference) != 0)
    assert brain.sum() > 500
    np.testing.assert_allclose(array(found.reference)[brain], array(ours.cbv)[brain], rtol=2e-4, atol=1e-5)
    assert "Verbena" in found.reference.GetName()
    assert found.difference is before, "of the same prediction"
    assert found.difference.GetName() == f"{found.cbv.GetName()} minus {found.reference.GetName()}"


def test_verbena_reads_the_low_dose_that_we_compute(scene, perfusion, monkeypatch, tmp_path):
    """Uncompressed, which takes a tenth of the time, and at the dose that was chosen, with an artery of that dose."""
    from StUNetPerfusionLib.process.applySteps import ReferenceChoice
    from StUNetPerfusionLib.process.computations import DoseChoice
    from StUNetPerfusionLib.scene.sequenceSeries import seriesFromSequence

    install_verbena(monkeypatch, tmp_path)
    node = add_series(scene)
    quarter = DoseChoice(0.25, "noise-matched", 3)
    told = []
    run = perfusion.apply(
        node, 0.5, reference=ReferenceChoice("fsl", quarter, "first"), waitForCompletion=False, **FAST
    )
    run.onProgress = lambda fraction, message: told.append((fraction, message))
    found = run.wait()
    low = seriesFromSequence(perfusion.lowDose(node, 0.25, "noise-matched", 3))
    signal = low.signal[perfusion.openInput(node).droppedFrames :].astype(float)
    artery = perfusion.arterialInput(node, baseline="first").curve
    with np.errstate(all="ignore"):
        expected = (-np.log(signal / signal[0]) / low.echo_time).sum(axis=0) / (0.25 * artery).sum()
    brain = array(found.reference) != 0
    assert brain.sum() > 500
    np.testing.assert_allclose(array(found.reference)[brain], expected[brain], rtol=1e-3, atol=1e-5)
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert "FSL's verbena computes the reference" in [message for _, message in told]
    assert not list(perfusion._worker.folder.rglob("data.nii"))


def test_a_cancelled_verbena_ends_with_all_that_it_started(scene, perfusion, monkeypatch, tmp_path):
    """The real one is a script that starts other programs."""
    from StUNetPerfusionLib.process.applySteps import ReferenceChoice

    pids = tmp_path / "pids"
    script = f"""#!{{python}}
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({str(pids)!r}, "w") as file:
    file.write(f"{{{{os.getpid()}}}} {{{{child.pid}}}}\\n")
time.sleep(600)
"""
    install_verbena(monkeypatch, tmp_path, script)
    run = perfusion.apply(add_series(scene), 0.5, reference=ReferenceChoice("fsl"), waitForCompletion=False, **FAST)
    while run.running and not (pids.is_file() and pids.read_text().endswith("\n")):
        perfusion.poll()
        time.sleep(0.005)
    assert run.running
    run.cancel()
    with pytest.raises(StUNetPerfusionError, match="Cancelled"):
        run.wait()
    for pid in pids.read_text().split():
        while alive(int(pid)):
            time.sleep(0.01)
    assert not list(perfusion._worker.folder.rglob("data.nii"))


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked about does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_verbena_is_started_without_the_libraries_of_slicer(monkeypatch, tmp_path):
    slicer = pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")
    from StUNetPerfusionLib.process.fslVerbena import VerbenaProcess, findVerbena

    install_verbena(monkeypatch, tmp_path, "#!{python}\nimport os\nprint(sorted(os.environ))\n")
    program = findVerbena()
    monkeypatch.setattr(slicer, "app", object(), raising=False)
    monkeypatch.setattr(slicer.util, "startupEnvironment", lambda: {"HOME": "/home/patient"})
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/slicer")
    process = VerbenaProcess(program, tmp_path, 1.5, 0.03)
    while not process.finished:
        time.sleep(0.005)
    with pytest.raises(InputError, match="verbena: wrote no CBV map"):
        process.cbv()
    said = (tmp_path / "log.txt").read_text()
    assert "FSLOUTPUTTYPE" in said
    assert "HOME" in said
    assert "LD_LIBRARY_PATH" not in said


def test_a_failing_verbena_is_one_sentence_and_no_node(scene, perfusion, monkeypatch, tmp_path):
    from StUNetPerfusionLib.process.applySteps import ReferenceChoice

    install_verbena(monkeypatch, tmp_path, "#!{python}\nraise SystemExit('no such option')\n")
    node = add_series(scene)
    with pytest.raises(InputError, match=r"verbena: wrote no CBV map; it said: no such option"):
        perfusion.apply(node, 0.5, reference=ReferenceChoice("fsl"), **FAST)
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_without_fsl_the_way_out_is_told(scene, perfusion, monkeypatch, tmp_path):
    from StUNetPerfusionLib.process.applySteps import ReferenceChoice

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FSLDIR", raising=False)
    with pytest.raises(InputError, match="install FSL"):
        perfusion.apply(add_series(scene), 0.5, reference=ReferenceChoice("fsl"), **FAST)
