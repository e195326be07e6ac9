"""Several processes train as one does on the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from science.two_processes import alone
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.processes import OneProcess, start_processes
from stunet_perfusion.training.settings import ComputingSettings

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of two processes (gloo) came to, started by torchrun."""
    pytest.importorskip("lightning", reason="training in several processes needs lightning")
    folder = tmp_path_factory.mktemp("processes")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    package = HERE.parents[1] / "StUNetPerfusion"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(package), str(HERE.parent)]), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *launch, str(HERE / "two_processes.py"), str(folder)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("loss", ["l2", "robust"])
def test_two_processes_have_the_weights_and_gradients_of_one(together, loss):
    """Losses, gradients, weights and the statistics of the batch normalization, after three steps."""
    expected = alone(loss)
    for found in together:
        assert found[loss].keys() == expected.keys()
        for name, value in expected.items():
            # Sums over halves are rounded otherwise than sums over the whole.
            size = value.abs().max().item() if value.is_floating_point() else 0
            torch.testing.assert_close(found[loss][name], value, rtol=2e-3, atol=2e-4 * size + 1e-7, msg=name)
    for name, value in together[0][loss].items():
        torch.testing.assert_close(together[1][loss][name], value, rtol=0, atol=1e-6)


def test_without_lightning_one_process_trains_and_more_are_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.fabric", None)
    assert isinstance(start_processes(ComputingSettings(device="cpu")), OneProcess)
    for settings in (ComputingSettings(device="cpu", devices=2), ComputingSettings("cpu", precision="bf16-mixed")):
        with pytest.raises(InputError, match=r"lightning: is not installed.*pip install 'lightning>=2.4'"):
            start_processes(settings)


def test_mixed_precision_computes_in_sixteen_bits_and_keeps_weights_in_thirty_two():
    pytest.importorskip("lightning", reason="mixed precision needs lightning")
    processes = start_processes(ComputingSettings(device="cpu", precision="bf16-mixed"))
    seen = []

    class Looks(nn.Linear):
        def forward(self, values):
            result = super().forward(values)
            seen.append(result.dtype)
            return result

    network = Looks(2, 1)
    called, optimizer = processes.setup(network, torch.optim.Adam(network.parameters()))
    before = network.weight.detach().clone()
    processes.backward(called(torch.ones(3, 2)).float().sum())
    optimizer.step()
    assert seen == [torch.bfloat16]
    assert network.weight.dtype == torch.float32
    assert not torch.equal(network.weight, before)
