"""The command `stunet-perfusion`: one verb a job, one file a verb.

A verb's module is imported only when the verb is called, so that `info` does not wait for torch.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated

import typer

from stunet_perfusion import __version__
from stunet_perfusion.cli.wording import worded
from stunet_perfusion.support.errors import StUNetPerfusionError
from stunet_perfusion.support.plain_text import one_error
from stunet_perfusion.support.processors import keep_linear_algebra_to_one_thread
from stunet_perfusion.support.termination import termination_interrupts

#: Every verb with the line that `--help` shows for it. The module `stunet_perfusion.cli.<verb>` holds its function.
VERBS = {
    "demo": "Try everything once: make a phantom, lower its dose, predict, and compare.",
    "info": "Describe a series: frames, timing, bolus, and problems.",
    "simulate": "Simulate a series at a lower contrast dose.",
    "reference": "Compute CBV, CBF and MTT as Verbena does.",
    "predict": "Predict the CBV map and its uncertainty with a trained network.",
    "batch": "Predict many cases, on one machine or on a cluster, with a table and an overview.",
    "repeat": "Repeat a run from its report.json, and check that the maps are the same.",
    "regions": "Measure regions in the maps: nCBV, hot spot, tumor burden, the other side.",
    "anatomy": "Put the maps on an anatomic image: T1 after contrast, FLAIR or T2.",
    "report": "Draw one page of a run: key slices, numbers, quality; PDF or PNG.",
    "export": "Write maps as DICOM: Parametric Map, MR series, or both.",
    "compare": "Score a map against a reference.",
    "phantom": "Make a simulated perfusion scan of a head, with its true maps.",
    "qin": "Turn a download of TCIA QIN-BRAIN-DSC-MRI into cases to train and evaluate with.",
    "train": "Train a network on phantoms or on scanned cases.",
    "calibrate": "Scale a network's uncertainty map, so that its 95 % intervals hold on phantoms.",
    "evaluate": "Score prediction methods or dose simulations: tables, figures, and a report.",
    "checkpoint": "Describe a checkpoint: network, parameters, input, training, scores.",
    "benchmark": "Measure speed on this machine.",
}

#: What is said of a verb that was stopped, where more is to be said than that nothing was written.
WHAT_STAYS = {
    "batch": "stopped; finished cases are kept, and the same command goes on from there",
    "train": "stopped; the last complete epoch is kept, and the same command goes on from there",
    "evaluate": "stopped; the scores of finished subjects are kept, and the same command goes on from there",
    "qin": "stopped; cases that are converted are kept",
}

#: Exit status for everything that the user can mend.
FAILURE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status: 0, or 2 with one line `error: ...` on the standard error.

    Without a verb it prints the help, as `--help` does, with status 0.
    """
    keep_linear_algebra_to_one_thread()
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    app = _app_for(arguments)
    try:
        with _quiet_libraries(), termination_interrupts():
            status = app(arguments, standalone_mode=False)
    except StUNetPerfusionError as error:
        return _refuse(worded(error, _options_of(app, arguments)))
    except typer.TyperException as error:
        return _refuse(error.format_message().rstrip(".") + ". Try --help.")
    except (KeyboardInterrupt, typer.Abort):
        return _refuse(WHAT_STAYS.get(_verb_in(arguments) or "", "stopped; nothing was written"))
    except MemoryError:
        return _refuse("not enough memory; close other programs, or use a smaller input")
    except OSError as error:
        return _refuse(_what_the_system_says(error))
    return status if isinstance(status, int) else 0


def _refuse(sentence: str) -> int:
    print("error: " + one_error(sentence), file=sys.stderr)
    return FAILURE


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """What libraries warn of is for programmers, and stands beside the one line for people. `python -W` shows it."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        logger = logging.getLogger("pydicom")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


def _what_the_system_says(error: OSError) -> str:
    """The last resort for files that no part of the program was prepared for."""
    reason = error.strerror or str(error) or type(error).__name__
    subject = "a file" if error.filename is None else error.filename
    return f"{subject}: cannot be read or written: {reason}; check the file and the right to use it"


def _app_for(arguments: list[str]) -> typer.Typer:
    """The command line, with the function of the named verb only; the other verbs are there for `--help`."""
    app = typer.Typer(
        name="stunet-perfusion",
        help="CBV maps from low-dose DSC perfusion MRI with the stU-Net. Research use only: not for diagnosis.",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_before_every_verb)
    wanted = _verb_in(arguments)
    for verb, summary in VERBS.items():
        if verb == wanted:
            command = import_module(f"stunet_perfusion.cli.{verb}").command
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=verb, help=summary)
            else:
                app.command(verb, help=summary + "\n\n" + (command.__doc__ or ""))(command)
        else:
            app.command(verb, help=summary)(_unnamed_verb)
    return app


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"stunet-perfusion {__version__}")
        raise typer.Exit


def _before_every_verb(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="print the version and exit")
    ] = False,
) -> None:
    """What may stand before a verb."""


def _verb_in(arguments: list[str]) -> str | None:
    return next((word for word in arguments if not word.startswith("-")), None)


def _options_of(app: typer.Typer, arguments: list[str]) -> set[str]:
    """The options of the named verb."""
    group = typer.main.get_command(app)
    verb = getattr(group, "commands", {}).get(_verb_in(arguments))
    return set() if verb is None else {option for parameter in verb.params for option in parameter.opts}


def _unnamed_verb() -> None:
    """Stands in `--help` for a verb that was not called."""
