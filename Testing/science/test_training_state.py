"""The state of a training: whole or refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.state import TrainingState, load_state, save_state


@pytest.fixture
def state() -> TrainingState:
    network = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    history = [{"epoch": 1, "loss": 0.5}]
    return TrainingState({}, 1, network.state_dict(), optimizer.state_dict(), torch.get_rng_state(), history, 0.5)


def test_every_changed_byte_is_noticed(tmp_path: Path, state: TrainingState) -> None:
    path = tmp_path / "net.state"
    save_state(path, state)
    content = path.read_bytes()
    end_of_torch = content.rindex(b"stunet-perfusion sha256\0")
    choose = random.Random(0)
    for _ in range(400):
        damaged = bytearray(content)
        damaged[choose.randrange(end_of_torch)] ^= 1 << choose.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is no state of a training, or is damaged; begin again"):
            load_state(path, {})
    for length in (0, 1, 100, end_of_torch - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="is no state of a training"):
            load_state(path, {})


def test_states_without_a_digest_are_read_as_before(tmp_path: Path, state: TrainingState) -> None:
    path = tmp_path / "net.state"
    save_state(path, state)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"stunet-perfusion sha256\0")])
    loaded = load_state(path, {})
    assert loaded is not None
    assert loaded.history == state.history
    assert all(torch.equal(loaded.weights[name], state.weights[name]) for name in state.weights)
