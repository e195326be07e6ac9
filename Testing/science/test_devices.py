"""Devices by name, and what is said when the memory of one runs out."""

from types import SimpleNamespace

import pytest
import torch

from stunet_perfusion.support import devices
from stunet_perfusion.support.devices import (
    Device,
    choose_device,
    list_devices,
    naming_exhausted_memory,
)
from stunet_perfusion.support.errors import InputError


@pytest.fixture
def two_gpus(monkeypatch):
    properties = [
        SimpleNamespace(name="NVIDIA H200", total_memory=139 * 2**30),
        SimpleNamespace(name="NVIDIA T400", total_memory=2 * 2**30),
    ]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: properties[number])


def test_devices_are_listed_with_their_memory(two_gpus):
    found = list_devices(8)
    assert found[:3] == [
        Device("cpu", "CPU (8 cores)"),
        Device("cuda:0", "NVIDIA H200 (139 GB)", 139 * 2**30),
        Device("cuda:1", "NVIDIA T400 (2 GB)", 2 * 2**30),
    ]
    assert list_devices(1)[0].label == "CPU (1 core)"
    assert choose_device() == "cuda:0"


@pytest.mark.parametrize(
    ("device", "error", "way_out"),
    [
        ("cuda:0", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), "choose the CPU"),
        ("mps", RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), "choose the CPU"),
        ("cpu", RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "fewer strips"),
        ("cpu", MemoryError(), "close other programs"),
    ],
)
def test_exhausted_memory_becomes_one_sentence(monkeypatch, device, error, way_out):
    given_back = []
    monkeypatch.setattr(devices, "give_back_memory", given_back.append)
    with pytest.raises(InputError, match=way_out) as caught, naming_exhausted_memory(device, 8):
        raise error
    assert str(caught.value).startswith(f"device {device}: has not enough memory for 8 strips at a time; ")
    assert given_back == [device]


def test_other_errors_are_not_taken_for_exhausted_memory():
    with pytest.raises(RuntimeError, match="sizes do not match"), naming_exhausted_memory("cpu"):
        raise RuntimeError("sizes do not match")


def test_an_unknown_device_is_named():
    with pytest.raises(InputError, match=r"'abacus' cannot be used.* choose the CPU"):
        choose_device("abacus")
    assert choose_device("cpu") == "cpu"
