"""Everything about a training that somebody may want to change: one TOML file, with the paper's choices as default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from stunet_perfusion.dose.simulate import METHODS, Method, check_dose
from stunet_perfusion.networks.quantities import BOXES, INPUTS, WINDOWS, Box, Input, Window
from stunet_perfusion.networks.strip_rule import StripRule
from stunet_perfusion.support.documents import converted, in_short, in_words, read_small
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.training.toml_text import parse_toml

#: The dose as phantoms are scanned at it. Series that were scanned already have to be lowered by one of `METHODS`.
PHYSICAL: Final = "physical"

Loss = Literal["l2", "robust"]
Schedule = Literal["constant", "cosine"]
Target = Literal["reference", "truth"]
TrainedOn = Literal["strips", "slices"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
DoseMethod = Literal["", "physical", "equation1", "noise-matched"]


@dataclass(frozen=True)
class NetworkSettings:
    """The network, what it is given, and what it says.

    :param name: `stunet`, `hess` or `ulas`
    :param arguments: what its class takes, for example `widths`
    :param frames: frames around the bolus
    :param size: rows and columns of the box around the brain
    :param box: `tight` around the brain (the paper's), or the series' own `pixels` where the brain fits
    :param input: `signal`, of which the paper's network predicts z-scores of CBV; or `curves-and-fit`, of which ours
        predicts a correction to the fit of the mean curve
    :param window: frames `around-bolus`, or `from-first` steady frame on, which Verbena takes S0 from
    """

    name: str = "stunet"
    arguments: dict[str, Any] = field(default_factory=dict)
    frames: int = 64
    size: int = 256
    box: Box = "tight"
    input: Input = "signal"
    window: Window = "around-bolus"


@dataclass(frozen=True)
class StripSettings:
    """How slices are cut.

    :param rows: height of a strip
    :param step: rows from one strip to the next
    :param padding: `zero` or `context`, as a checkpoint's strips
    :param together: cases whose strips are shuffled together; they, and as many to come, are in memory
    :param share: of all strips, which an epoch takes at random; 1 takes all
    :param train: on `strips`, or on whole `slices`, which strips with context are parts of: the same network comes out
        of a fraction of the work, since neighboring strips share most of their context
    """

    rows: int = 32
    step: int = 8
    padding: str = "zero"
    together: int = 12
    share: float = 1.0
    train: TrainedOn = "strips"


@dataclass(frozen=True)
class CaseSettings:
    """Scanned cases.

    :param table: a `cases.csv`, a folder that `phantom` wrote, or a folder of such folders
    :param split: persons to train on, to validate with and to test, in this ratio, where the table has no `part`
    :param target: `reference`: the map of that column, else the closed form of the series at full dose; `truth`: of
        phantoms
    :param slice_step: every so many slices are trained on
    """

    table: str = ""
    split: tuple[int, int, int] = (25, 12, 12)
    target: Target = "reference"
    slice_step: int = 1


@dataclass(frozen=True)
class PhantomSettings:
    """Phantoms, new ones in every epoch or always the same.

    :param anatomies: label maps of heads to train on, folders of them, `mni`, or `drawn` for eight drawn heads
    :param validation: the same to validate with; `drawn` for two other drawn heads
    :param tumors: tumor masks or folders of them; without any, tumors are invented
    :param an_epoch: phantoms an epoch
    :param slice_step: every so many slices of a phantom are trained on
    :param target: the phantom's noise-free `truth`, or as in the paper the `reference` that Verbena makes of it at full
        dose
    :param epochs: in which a phantom is seen, from the one that it is made for on. A phantom takes longer to make than
        to learn from; all that are still seen are in memory.
    :param fixed: the same persons in all epochs, as in the paper, at a dose that is drawn anew; they are made by the
        process that trains, once, and are in its memory
    :param slices: of each fixed person in an epoch, drawn anew; 0 takes all
    :param validation_persons: the heads in turn; 0 takes one a head
    """

    anatomies: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    tumors: tuple[str, ...] = ()
    an_epoch: int = 25
    slice_step: int = 4
    target: Target = "truth"
    epochs: int = 1
    fixed: bool = False
    slices: int = 0
    validation_persons: int = 0


@dataclass(frozen=True)
class DoseSettings:
    """The dose at which a case is seen, drawn anew each time.

    :param method: `physical` (phantoms only), `equation1` or `noise-matched`; empty takes `physical` for phantoms and
        the paper's `equation1` for cases
    :param shares: of the injected dose, one of which is drawn; without any, one is drawn evenly
    :param lowest: from here
    :param highest: to here
    """

    method: DoseMethod = ""
    shares: tuple[float, ...] = ()
    lowest: float = 0.2
    highest: float = 1.0

    def of_cases(self) -> Method:
        """How scanned cases are brought to a lower dose.

        :raises InputError: `physical`
        """
        if self.method == PHYSICAL:
            raise InputError("dose.method", "a scanned case has one physical dose", f"use {' or '.join(METHODS)}")
        return self.method or "equation1"


@dataclass(frozen=True)
class Optimization:
    """Adam with its default hyper-parameters.

    :param epochs: how often everything is seen
    :param batch: strips a step, over all processes together
    :param learning_rate: at the start
    :param schedule: `constant`, or `cosine`: to nothing along half a cosine over all epochs; with `maps_first` along
        one over those, and another over the rest
    :param loss: `l2`, or `robust`: L2, and L1 where it is far off
    :param error_weight: of the expected error beside the map, of a network that says it. With little of it the error is
        read off features that make a good map, which may not know how noisy the series is
    :param settled: share of the epochs, the last ones, in which batch normalization stays as it is: the network then
        learns with what it will predict with, and not with the statistics of one batch
    :param maps_first: share of the epochs, the first ones, in which nothing but the refinement of the maps learns, of a
        network that has one: it takes a tenth of the time, and what it can do need not be learned by the rest
    :param seed: of everything random
    """

    epochs: int = 200
    batch: int = 8
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    loss: Loss = "l2"
    error_weight: float = 0.1
    settled: float = 0.0
    maps_first: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class ValidationSettings:
    """What is looked at after an epoch.

    :param every: after every so many epochs, and after the last
    :param doses: shares of the injected dose
    :param strip_step: rows from one strip to the next; a large one is fast, and understates the averaged map
    :param slice_step: every so many slices of a case
    """

    every: int = 1
    doses: tuple[float, ...] = (1.0, 0.5, 0.25)
    strip_step: int = 16
    slice_step: int = 4


@dataclass(frozen=True)
class ComputingSettings:
    """Where it is computed. None of this decides what comes out, but for rounding.

    :param device: `auto`, `cpu`, `cuda`, `cuda:0`, `mps`
    :param devices: how many of them on each machine
    :param nodes: machines
    :param precision: `32-true`, `bf16-mixed` or `16-mixed`; on a CPU that cannot train in the others, `32-true` is
        taken, see `training.precision`
    :param workers: processes that prepare cases in the background; -1 takes one less than there are cores, 0 prepares
        them in between
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Precision = "32-true"
    workers: int = -1


@dataclass(frozen=True)
class TrainingSettings:
    """All of it, a table of the TOML file each."""

    network: NetworkSettings = field(default_factory=NetworkSettings)
    strips: StripSettings = field(default_factory=StripSettings)
    cases: CaseSettings = field(default_factory=CaseSettings)
    phantoms: PhantomSettings = field(default_factory=PhantomSettings)
    dose: DoseSettings = field(default_factory=DoseSettings)
    optimization: Optimization = field(default_factory=Optimization)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    computing: ComputingSettings = field(default_factory=ComputingSettings)

    def document(self) -> dict[str, Any]:
        """As JSON and TOML write it."""
        return _plain(asdict(self))

    @property
    def dose_method(self) -> Literal["physical"] | Method:
        """How the dose is lowered."""
        return self.dose.method or (PHYSICAL if self.phantoms.anatomies else "equation1")


def read_settings(path: Path | None, changes: Mapping[str, Any] | None = None) -> TrainingSettings:
    """The settings of a file, with changes on top, checked.

    Paths in the file are relative to it.

    :param path: TOML, or None for the paper's choices
    :param changes: by the names of table and setting, `{"optimization.epochs": 3}`
    :raises InputError: no such file, no TOML, a table or setting that does not exist, or a value that makes no sense
    """
    tables = {} if path is None else _read_toml(path)
    subject = "settings" if path is None else str(path)
    settings = _fill(subject, TrainingSettings(), tables)
    if path is not None:
        settings = _relative_to(path.parent, settings)
    for name, value in (changes or {}).items():
        table, _, key = name.partition(".")
        settings = _fill(name, settings, {table: {key: value}})
    check_settings(settings)
    return settings


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Changes as the command line has them: `optimization.epochs=3`, the value as TOML writes it, or a plain word.

    :raises InputError: no such form
    """
    changes = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or "." not in name:
            way_out = "write for example optimization.epochs=3"
            raise InputError(Setting.TRAINING_SETTING, f"'{text}' is no setting", way_out)
        changes[name.strip()] = _toml_value(value.strip())
    return changes


def check_settings(settings: TrainingSettings) -> None:
    """Refuse what makes no sense.

    :raises InputError: with the name of the setting
    """
    network, optimization, dose = settings.network, settings.optimization, settings.dose
    for name, value, known in (
        ("network.input", network.input, INPUTS),
        ("network.box", network.box, BOXES),
        ("network.window", network.window, WINDOWS),
        ("cases.target", settings.cases.target, get_args(Target)),
        ("phantoms.target", settings.phantoms.target, get_args(Target)),
        ("dose.method", dose.method, get_args(DoseMethod)),
        ("optimization.schedule", optimization.schedule, get_args(Schedule)),
        ("optimization.loss", optimization.loss, get_args(Loss)),
        ("strips.train", settings.strips.train, get_args(TrainedOn)),
        ("computing.precision", settings.computing.precision, get_args(Precision)),
    ):
        if value not in known:
            raise InputError(name, f"'{value}' is not known", f"use {', '.join(filter(None, known))}")
    for name, number, least in (
        ("optimization.epochs", optimization.epochs, 1),
        ("optimization.batch", optimization.batch, 1),
        ("strips.step", settings.strips.step, 1),
        ("strips.together", settings.strips.together, 1),
        ("cases.slice_step", settings.cases.slice_step, 1),
        ("phantoms.an_epoch", settings.phantoms.an_epoch, 1),
        ("phantoms.slice_step", settings.phantoms.slice_step, 1),
        ("phantoms.epochs", settings.phantoms.epochs, 1),
        ("phantoms.slices", settings.phantoms.slices, 0),
        ("phantoms.validation_persons", settings.phantoms.validation_persons, 0),
        ("validation.every", settings.validation.every, 1),
        ("validation.slice_step", settings.validation.slice_step, 1),
        ("computing.devices", settings.computing.devices, 1),
        ("computing.nodes", settings.computing.nodes, 1),
        ("computing.workers", settings.computing.workers, -1),
    ):
        if number < least:
            raise InputError(name, f"{number} is too few", f"give at least {least}")
    if not optimization.learning_rate > 0:
        raise InputError("optimization.learning_rate", f"{optimization.learning_rate:g} is not above 0", "try 0.001")
    if not 0 < settings.strips.share <= 1:
        raise InputError("strips.share", f"{settings.strips.share:g} is no share", "use more than 0, up to 1")
    if not 0 <= optimization.settled <= 1:
        raise InputError("optimization.settled", f"{optimization.settled:g} is no share", "use 0 to 1")
    if not 0 <= optimization.maps_first <= 1:
        raise InputError("optimization.maps_first", f"{optimization.maps_first:g} is no share", "use 0 to 1")
    if optimization.maps_first and not settings.network.arguments.get("refine"):
        raise InputError("optimization.maps_first", "needs a network with 'refine'", "give it one, or use 0")
    if len(settings.cases.split) != 3 or min(settings.cases.split) < 0 or not settings.cases.split[0]:
        raise InputError("cases.split", f"{list(settings.cases.split)} is no split", "write for example [25, 12, 12]")
    for share in (dose.lowest, dose.highest, *dose.shares, *settings.validation.doses):
        check_dose(share, METHODS[0])
    if dose.lowest > dose.highest:
        raise InputError("dose.lowest", "is above dose.highest", "change one of them")
    if bool(settings.cases.table) == bool(settings.phantoms.anatomies):
        raise InputError(
            "settings",
            "need either cases or phantoms to train on",
            "give a table of cases, or heads to make phantoms of",
            Setting.CASES,
            Setting.ANATOMY,
        )
    phantoms = settings.phantoms
    if phantoms.fixed and (phantoms.epochs > 1 or settings.dose_method == PHYSICAL):
        fact = "keeps every person as scanned at full dose"
        way_out = "set phantoms.epochs to 1, and dose.method to equation1 or noise-matched"
        raise InputError("phantoms.fixed", fact, way_out)
    if phantoms.slices and not phantoms.fixed:
        raise InputError("phantoms.slices", "is for persons that stay the same", "set phantoms.fixed, or use 0")
    if settings.cases.table:
        dose.of_cases()
    rule = StripRule(settings.strips.rows, settings.strips.padding)
    if settings.strips.train == "slices" and rule.padding != "context":
        fact = "are no sum of strips that are padded with zeros"
        raise InputError("slices", fact, "set strips.padding to context, or strips.train to strips")


def _read_toml(path: Path) -> dict[str, Any]:
    way_out = "give a TOML file with settings"
    try:
        return parse_toml(read_small(path, way_out).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(path, "is no TOML (it is no text in UTF-8)", way_out) from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, f"is no TOML ({error})", "mend the line that it names") from None


def _toml_value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        return text


def _fill(subject: str, values: Any, tables: Mapping[str, Any]) -> Any:
    """A dataclass with some of its fields replaced, tables within it likewise."""
    hints = get_type_hints(type(values))
    changed = {}
    for name, value in tables.items():
        if name not in hints:
            known = ", ".join(each.name for each in fields(values))
            raise InputError(subject, f"'{name}' is no setting", f"choose among {known}")
        old = getattr(values, name)
        if is_dataclass(old):
            if not isinstance(value, Mapping):
                raise InputError(subject, f"'{name}' is a table of settings", f"write [{name}] above them")
            changed[name] = _fill(subject, old, value)
        else:
            changed[name] = _converted(subject, name, value, hints[name])
    return replace(values, **changed)


def _converted(subject: str, name: str, value: Any, hint: Any) -> Any:
    # Which words are known is told by `check_settings`.
    hint = str if get_origin(hint) is Literal else hint
    try:
        return converted(name, value, hint)
    except TypeError:
        raise InputError(subject, f"'{name}' is {in_short(repr(value))}", f"give {in_words(hint)}") from None


def _relative_to(folder: Path, settings: TrainingSettings) -> TrainingSettings:
    def place(text: str) -> str:
        return text if text in ("", "mni", "drawn") else str(folder / text)

    phantoms = settings.phantoms
    return replace(
        settings,
        cases=replace(settings.cases, table=place(settings.cases.table)),
        phantoms=replace(
            phantoms,
            anatomies=tuple(map(place, phantoms.anatomies)),
            validation=tuple(map(place, phantoms.validation)),
            tumors=tuple(map(place, phantoms.tumors)),
        ),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
