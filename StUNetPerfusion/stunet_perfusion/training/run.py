"""A whole training: from settings to the best and the last checkpoint, a log, and a state to go on from."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stunet_perfusion.inference.strips import StripRule
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.blocks import begin_at_zero
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import Checkpoint, CheckpointInfo, NetworkInput
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.networks.quantities import CORRECTION_TO_FIT, MAPS, TARGET_OF
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.processors import processors
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.training.background import in_background
from stunet_perfusion.training.curriculum import Curriculum, curriculum_of
from stunet_perfusion.training.log import add_to_tensorboard, write_log
from stunet_perfusion.training.loop import EpochResult, EpochStrips, make_optimizer, train
from stunet_perfusion.training.origin import describe_training
from stunet_perfusion.training.precision import usable_precision
from stunet_perfusion.training.processes import Processes, start_processes
from stunet_perfusion.training.seen_again import SeenAgain
from stunet_perfusion.training.settings import TrainingSettings
from stunet_perfusion.training.state import TrainingState, load_state, save_state
from stunet_perfusion.training.strip_dataset import StripDataset, TrainingSlices
from stunet_perfusion.training.validation import mean_by_dose, validate


@dataclass(frozen=True)
class TrainingFiles:
    """What a training writes.

    :param best: the checkpoint with the lowest validation score; where nothing validates, the last
    """

    best: Path

    @property
    def last(self) -> Path:
        return self.best.with_suffix(".last.safetensors")

    @property
    def log(self) -> Path:
        return self.best.with_suffix(".log.csv")

    @property
    def state(self) -> Path:
        return self.best.with_suffix(".state")

    @property
    def tensorboard(self) -> Path:
        return self.best.with_suffix(".tensorboard")


def run_training(
    settings: TrainingSettings,
    output: Path,
    *,
    restart: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Train, or go on where a training with the same settings left off.

    :param settings: checked
    :param output: of the best checkpoint, .safetensors; the other files are beside it
    :param restart: begin again, whatever is there
    :param tell: is told who is trained on and a sentence an epoch, by the first process alone
    :returns: the log, an entry an epoch, of all epochs; nothing in any process but the first
    :raises InputError: settings, cases or heads that cannot be used, or as `train`
    """
    if output.suffix != ".safetensors":
        raise InputError(output, "is no name for a checkpoint", "let it end with .safetensors")
    computing, sentence = usable_precision(settings.computing, settings.network, settings.strips)
    settings = replace(settings, computing=computing)
    if sentence:
        tell(sentence)
    files = TrainingFiles(output)
    optimization, document = settings.optimization, settings.document()
    network, info = network_of(settings)
    processes = start_processes(settings.computing)
    state = None if restart else load_state(files.state, document)
    first_epoch = 0 if state is None else state.epochs
    if len(set(processes.gather(first_epoch))) > 1:
        fact = "is not the same for all machines, some of which would go on and some begin"
        raise InputError(files.state, fact, "write to a disk that all of them share")
    if first_epoch >= optimization.epochs:
        return [] if processes.rank or state is None else state.history
    curriculum = curriculum_of(settings, info.input, (processes.rank, processes.count), progress)
    if not processes.rank:
        tell(curriculum.counted)
    if state is not None:
        network.load_state_dict(state.weights)
        torch.set_rng_state(state.random)
    called, optimizer = processes.setup(network, make_optimizer(network, optimization))
    if state is not None:
        optimizer.load_state_dict(state.optimizer)
        if not processes.rank:
            tell(f"Going on after epoch {first_epoch} of {optimization.epochs}.")
    history = [] if state is None else list(state.history)
    best = None if state is None else state.best

    def after_epoch(result: EpochResult) -> None:
        nonlocal best
        scores = _validate(settings, curriculum, network, info, processes, result.epoch)
        history.append(_entry(result, scores))
        if processes.rank:
            return
        described = describe_training(settings, curriculum.described, history, processes)
        scored = {"on": curriculum.held_out_described, "by_dose": scores} if scores else {}
        written = replace(info, training=described, scores=scored)
        checkpoint.save(files.last, network, written)
        reached = None if not scores else float(np.mean([score["l2"] for score in scores.values()]))
        if not curriculum.validates or (reached is not None and (best is None or reached < best)):
            best = reached
            checkpoint.save(files.best, network, written)
        write_log(files.log, history)
        add_to_tensorboard(files.tensorboard, history[-1])
        save_state(
            files.state,
            TrainingState(
                document,
                result.epoch + 1,
                network.state_dict(),
                optimizer.state_dict(),
                torch.get_rng_state(),
                history,
                best,
            ),
        )
        tell(_sentence(history[-1], optimization.epochs))

    seen_epochs = settings.phantoms.epochs if settings.phantoms.anatomies else 1
    first_made = max(first_epoch - seen_epochs + 1, 0)
    cases = _prepared(settings, curriculum, processes, first_made)
    sizes = _group_sizes(settings, curriculum, processes)
    groups = SeenAgain(cases, sizes, seen_epochs)
    try:
        groups.catch_up(first_epoch - first_made)
        train(
            called,
            optimizer,
            lambda epoch: EpochStrips(_strips(settings, network, groups, epoch, processes.rank), len(sizes)),
            optimization,
            processes=processes,
            first_epoch=first_epoch,
            after_epoch=after_epoch,
            progress=progress if not processes.rank else no_progress,
        )
    finally:
        cases.close()
    return [] if processes.rank else history


def network_of(settings: TrainingSettings) -> tuple[CbvNetwork, CheckpointInfo]:
    """A network with random weights, and what its checkpoint will say besides its training.

    One that is to correct the fit predicts 0 at first, and so begins with the fit.

    :raises InputError: an unknown network, arguments that it does not have, or strips that it does not take
    """
    wanted, strips = settings.network, settings.strips
    torch.manual_seed(settings.optimization.seed)
    arguments = dict(wanted.arguments)
    if maps := MAPS[wanted.input]:
        arguments["maps"] = maps
    network = build_network(wanted.name, arguments)
    network.check_strip(wanted.frames, strips.rows, wanted.size)
    if strips.rows > wanted.size:
        raise InputError("strips.rows", f"{strips.rows} rows do not fit a slice of {wanted.size}", "use lower strips")
    target = TARGET_OF[wanted.input]
    if target == CORRECTION_TO_FIT:
        begin_at_zero(network.head)
    expected = NetworkInput(wanted.frames, wanted.size, wanted.input, wanted.box, wanted.window)
    rule = StripRule(strips.rows, strips.padding)
    return network, CheckpointInfo(wanted.name, arguments, expected, rule, target=target)


def _numbers(an_epoch: int, processes: Processes) -> list[int]:
    """The cases of an epoch that this process sees: every process as many, so that some may be seen twice."""
    each = -(-an_epoch // processes.count)
    return [(processes.rank + n * processes.count) % an_epoch for n in range(each)]


def _together(settings: TrainingSettings, processes: Processes) -> int:
    return max(settings.strips.together // processes.count, 1)


def _prepared(
    settings: TrainingSettings, curriculum: Curriculum, processes: Processes, first_epoch: int
) -> Generator[TrainingSlices, None, None]:
    """All cases of all epochs to come, prepared in the background."""
    lessons = curriculum.lessons
    numbers = _numbers(lessons.an_epoch, processes)
    jobs = ((epoch, number) for epoch in range(first_epoch, settings.optimization.epochs) for number in numbers)
    workers = 0 if settings.phantoms.fixed else settings.computing.workers
    if workers < 0:
        workers = max((processors() - 1) // min(processes.count, settings.computing.devices), 1)
    return in_background(lessons.make, jobs, workers, _together(settings, processes))


def _group_sizes(settings: TrainingSettings, curriculum: Curriculum, processes: Processes) -> list[int]:
    """How many new cases of an epoch are shuffled together, group by group."""
    total, group = len(_numbers(curriculum.lessons.an_epoch, processes)), _together(settings, processes)
    return [min(group, total - start) for start in range(0, total, group)]


def _strips(
    settings: TrainingSettings, network: CbvNetwork, groups: SeenAgain[TrainingSlices], epoch: int, rank: int
) -> Iterator[StripDataset]:
    """The strips of an epoch, a group of cases at a time."""
    rule, size = settings.strips, settings.network.size
    generator = np.random.default_rng((settings.optimization.seed, epoch, rank))
    for cases in groups.of_epoch():
        if rule.train == "slices":
            yield StripDataset(cases, size, size, phases=network.row_step).some(rule.share, generator)
            continue
        margin = 0
        if rule.padding == "context":
            margin = -(-network.row_reach // network.row_step) * network.row_step
        yield StripDataset(cases, rule.rows, rule.step, margin).some(rule.share, generator)


def _validate(
    settings: TrainingSettings,
    curriculum: Curriculum,
    network: CbvNetwork,
    info: CheckpointInfo,
    processes: Processes,
    epoch: int,
) -> dict[str, dict[str, float | None]]:
    """Mean scores by dose; none where this epoch is not looked at. Every process predicts its share."""
    wanted = settings.validation
    due = (epoch + 1) % wanted.every == 0 or epoch + 1 == settings.optimization.epochs
    if not curriculum.validates or not due:
        return {}
    network.eval()
    known = Checkpoint(info, network, "in training")
    own = validate(known, curriculum.held_out, wanted.strip_step, wanted.doses, str(processes.device))
    return mean_by_dose([score for share in processes.gather(own) for score in share])


def _entry(result: EpochResult, scores: dict[str, dict[str, float | None]]) -> dict[str, Any]:
    return {
        "epoch": result.epoch + 1,
        "loss": round(result.loss, 6),
        "learning_rate": result.learning_rate,
        "strips": result.strips,
        "seconds": round(result.seconds, 2),
        "waited": round(result.waited, 4),
        "scores": scores,
    }


def _sentence(entry: dict[str, Any], epochs: int) -> str:
    text = (
        f"epoch {entry['epoch']} of {epochs}: loss {entry['loss']:.4f} over {entry['strips']} strips in "
        f"{entry['seconds']:.0f} s, {100 * entry['waited']:.0f} % of it waiting for strips"
    )
    if not entry["scores"]:
        return text
    scores = ", ".join(f"{dose}: {_told(score)}" for dose, score in entry["scores"].items())
    return f"{text}; validation by dose {scores}"


def _told(score: dict[str, float | None]) -> str:
    correlation = score["correlation"]
    return f"L2 {score['l2']:.3f}, r {'none' if correlation is None else f'{correlation:.3f}'}"
