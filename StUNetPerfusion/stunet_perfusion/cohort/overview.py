"""The overview of a cohort: one self-contained HTML page with a picture and the numbers of every case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stunet_perfusion.cases import Case
from stunet_perfusion.cohort.jobs import CaseOutcome
from stunet_perfusion.cohort.thumbnails import thumbnail
from stunet_perfusion.runs.results import USE
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.staged import staged_file

#: Numbers under a picture: what they are called, and how they are written.
_SHOWN = {
    "nrcbv": ("tumor / white matter", "{:.2f}"),
    "nrcbv_reference": ("reference's", "{:.2f}"),
    "tumor_ml": ("tumor", "{:.1f} ml"),
    "brain_ml": ("brain", "{:.0f} ml"),
    "ssim": ("SSIM", "{:.3f}"),
    "l1": ("L1", "{:.3f}"),
    "seconds": ("computed in", "{:.0f} s"),
}

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; background: #14161a; color: #e6e6e6; }
h1 { font-size: 1.3rem; } h2 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p.about { color: #a9adb5; max-width: 60rem; }
.cases { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; background: #000; border-radius: 6px; padding: .6rem; width: 12rem; }
figure img { display: block; margin: 0 auto .4rem; max-width: 100%; height: 11rem; image-rendering: pixelated; }
figcaption { font-size: 12px; color: #c6c9cf; }
figcaption b { color: #fff; font-size: 13px; overflow-wrap: anywhere; }
figcaption i { color: #e8c468; overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; } li b { color: #ff9b8a; }
"""


def write_overview(
    path: Path, cases: Sequence[Case], outcomes: Mapping[str, CaseOutcome], settings: Mapping[str, Any]
) -> None:
    """Write the page. Cases that failed come first.

    :param path: in the cohort's folder, whose case folders hold the maps
    :param outcomes: by name of the case
    :param settings: what all cases were computed with, in words
    :raises OutputError: it cannot be written
    """
    failed = [outcome for case in cases if (outcome := outcomes[case.name]).status == "failed"]
    done = [case for case in cases if outcomes[case.name].status != "failed"]
    about = ", ".join(f"{name} {value}" for name, value in settings.items())
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Cohort</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{len(done)} of {len(cases)} cases done</h1>",
        f'<p class="about">{escape(about)}. CBV maps from black (no blood) to red (6 times normal white matter). '
        f"{USE}</p>",
    ]
    if failed:
        items = "".join(f"<li><b>{escape(outcome.name)}</b>: {escape(outcome.error)}</li>" for outcome in failed)
        parts.append(f"<h2>Failed</h2><ul>{items}</ul>")
    figures = "".join(_figure(case, outcomes[case.name], path.parent) for case in done)
    parts.append(f'<div class="cases">{figures}</div></body></html>')
    with staged_file(path) as staged:
        staged.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _figure(case: Case, outcome: CaseOutcome, folder: Path) -> str:
    numbers = ((label, form, outcome.numbers.get(name)) for name, (label, form) in _SHOWN.items())
    lines = "".join(f"<br>{label} {form.format(value)}" for label, form, value in numbers if value is not None)
    part = f" ({escape(case.part)})" if case.part else ""
    lines += "".join(f"<br><i>{escape(note)}</i>" for note in outcome.notes)
    return f"<figure>{_picture(case, folder)}<figcaption><b>{escape(case.name)}</b>{part}{lines}</figcaption></figure>"


def _picture(case: Case, folder: Path) -> str:
    try:
        picture = thumbnail(case, folder / case.name)
    except InputError:
        return "<p>no picture</p>"
    return f'<img src="{picture.uri}" alt="{escape(picture.alternative)}" title="{escape(picture.alternative)}">'
