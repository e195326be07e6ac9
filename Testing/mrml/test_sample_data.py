"""The sample: made without network, the same for everybody, and worth trying everything on."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def sample_logic():
    pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")
    from StUNetPerfusionLib.logic import PerfusionLogic

    logic = PerfusionLogic()
    yield logic
    logic.stop()


def test_the_sample_has_a_tumor_with_more_blood_than_white_matter(scene, sample_logic):
    import slicer

    from StUNetPerfusionLib.scene.inputSeries import inputFacts
    from StUNetPerfusionLib.scene.masks import maskOf
    from StUNetPerfusionLib.scene.sequenceBrowser import browserOf

    sample = sample_logic.addSample(scene)

    facts = inputFacts(sample.sequence)
    assert facts.frames == 60
    assert facts.frameInterval == pytest.approx(1.5)
    assert facts.echoTime == pytest.approx(0.03)
    assert browserOf(sample.sequence) is sample.browser
    names = ("brain", "tumor", "normal white matter", "vessels")
    masks = {name: maskOf((sample.segmentation, name), facts.grid, name) for name in names}
    assert sample.segmentation.GetSegmentation().GetNumberOfSegments() == len(names)
    source = sample.segmentation.GetNodeReference(sample.segmentation.GetReferenceImageGeometryReferenceRole())
    assert source is sample.browser.GetProxyNode(sample.sequence), "what the Segment Editor draws on"
    assert all(masks["brain"][mask].mean() > 0.5 for mask in masks.values())

    def mean_cbv(region: str) -> float:
        options = {"mask": (sample.segmentation, region), "aif": (sample.segmentation, "vessels")}
        found = sample_logic.computeReference(sample.sequence, **options)
        return float(slicer.util.arrayFromVolume(found.cbv)[masks[region]].mean())

    assert mean_cbv("tumor") > 1.5 * mean_cbv("normal white matter") > 0
    assert not list(sample_logic._worker.folder.glob("[0-9]*/*")), "the worker's files are taken away"


def test_it_is_offered_by_the_sample_data_module(scene, monkeypatch):
    """In a category of its own, with nothing to download."""
    registered = []
    module = ModuleType("SampleData")

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(**source):  # noqa: N802
            registered.append(source)

    module.SampleDataLogic = SampleDataLogic
    monkeypatch.setitem(sys.modules, "SampleData", module)
    from StUNetPerfusionLib.process import sampleData

    class Logic:
        stopped = False

        def addSample(self):  # noqa: N802
            return SimpleNamespace(sequence="sequence", segmentation="segmentation")

        def stop(self):
            Logic.stopped = True

    sampleData.registerSample(Logic)

    (source,) = registered
    assert source["category"] == "Perfusion"
    assert source["sampleName"] == sampleData.SAMPLE_NAME
    # Slicer asks for the length of all of these.
    assert source["uris"] == source["fileNames"] == source["nodeNames"] == []
    assert source["customDownloader"](None) == ["sequence", "segmentation"]
    assert Logic.stopped
