"""Which precision a processor can train in."""

from dataclasses import replace

import pytest

from stunet_perfusion.training import precision
from stunet_perfusion.training.precision import has_bf16, usable_precision
from stunet_perfusion.training.settings import ComputingSettings, NetworkSettings, StripSettings

BF16 = ComputingSettings(device="cpu", precision="bf16-mixed")
NETWORK, STRIPS = NetworkSettings("hess", {"sequence_widths": [2, 2, 2, 2]}), StripSettings()


def flags(folder, text):
    path = folder / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: fpu avx2 {text}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "known"), [("avx512f avx512_bf16 fma", True), ("amx_bf16 amx_tile", True), ("avx512f", False)]
)
def test_instructions_for_bf16_are_among_the_flags(tmp_path, text, known):
    assert has_bf16(flags(tmp_path, text)) is known


def test_where_the_system_tells_no_flags_there_are_none(tmp_path):
    assert not has_bf16(tmp_path / "none")


def test_without_instructions_32_bits_are_taken_and_said(tmp_path):
    used, sentence = usable_precision(BF16, NETWORK, STRIPS, flags(tmp_path, "avx512f"))
    assert used == replace(BF16, precision="32-true")
    assert "no instructions for bf16" in sentence
    for untouched in (ComputingSettings(device="cpu"), ComputingSettings(device="meta", precision="bf16-mixed")):
        assert usable_precision(untouched, NETWORK, STRIPS, flags(tmp_path, "avx512f")) == (untouched, "")


def test_half_precision_is_for_gpus(tmp_path):
    used, sentence = usable_precision(
        replace(BF16, precision="16-mixed"), NETWORK, STRIPS, flags(tmp_path, "avx512_bf16")
    )
    assert used.precision == "32-true"
    assert "16-mixed is for GPUs" in sentence


def test_a_first_step_that_ends_its_process_is_taken_in_another(tmp_path):
    """A network that cannot be built stands for a library whose gradients write beyond their memory."""
    known = flags(tmp_path, "avx512_bf16")
    used, sentence = usable_precision(BF16, replace(NETWORK, arguments={"unknown": 1}), STRIPS, known)
    assert used.precision == "32-true"
    assert "a first step in bf16 failed" in sentence


def test_a_network_that_survives_trains_in_bf16(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_survives", lambda *_: True)
    assert usable_precision(BF16, NETWORK, STRIPS, flags(tmp_path, "amx_bf16")) == (BF16, "")
