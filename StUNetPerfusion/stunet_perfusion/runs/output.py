"""Where the results of a run go: a folder that is one run's, and never over what is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stunet_perfusion.reading import read_map
from stunet_perfusion.reading.folder_series import find_series
from stunet_perfusion.reading.report import REPORT, check_digest, read_report
from stunet_perfusion.reading.sidecar import sidecar_path
from stunet_perfusion.support.errors import InputError, OutputError, Setting
from stunet_perfusion.support.staged import staged_output
from stunet_perfusion.support.staged_folder import staged_folder

#: What may lie beside the maps of a run besides its report: the numbers of a case of a cohort.
_BESIDE = ("case.json",)


@contextmanager
def results_folder(
    folder: Path, inputs: Iterable[Path | None] = (), *, bids: bool = False, overwrite: bool = False
) -> Iterator[Path]:
    """A hidden folder for the maps and the report of a run, which become `folder` when the block ends well.

    A run of before is replaced whole. A folder of BIDS derivatives holds many runs, of which each file has a document
    of its own: there the files move one by one.

    :param inputs: files that are read
    :param overwrite: whether files may be replaced that are no whole run of before
    :raises InputError: an input would be replaced
    :raises OutputError: as `staged_folder`
    """
    read = [path for path in inputs if path is not None]
    if bids:
        with staged_output(folder) as stage:
            yield stage
    else:
        names = (REPORT, "cbv.nii.gz")
        with staged_folder(folder, former_run, inputs=read, expected=names, overwrite=overwrite) as stage:
            yield stage


def former_run(folder: Path) -> frozenset[str] | None:
    """The files of a run that is in a folder as it was written; None where there is none, or where it was changed."""
    try:
        report = read_report(folder / REPORT)
        provenance = report.document.get("provenance")
        if not isinstance(provenance, dict) or provenance.get("verb") not in ("predict", "reference"):
            return None
        files = report.maps | report.regions
        for entry in files.values():
            if (folder / entry.file).exists():
                check_digest(folder / entry.file, read_map(folder / entry.file)[0], entry.sha256)
    except InputError:
        return None
    names = {REPORT, *(entry.file for entry in files.values())}
    return frozenset(names | {name for name in _BESIDE if (folder / name).exists()})


def refuse_output_in_input(series: Path, output: Path) -> None:
    """Refuse to write into a folder whose files are together one series: they would be another then.

    :param series: that is read
    :raises InputError: `output` is in it
    """
    if series.is_dir() and series.resolve() in (output.resolve(), *output.resolve().parents):
        raise InputError(output, "is inside of the folder that is read", "choose a folder beside it")


def refuse_replacing(
    output: Path, series: Path, which: str | None, others: Iterable[Path | None], overwrite: bool
) -> None:
    """Refuse to write a series over what is read, or over something that is there.

    :param output: file of the series, which gets a sidecar where it is NIfTI
    :param series: that is read
    :param others: masks that are read
    :raises InputError: `output` or its sidecar is read
    :raises OutputError: something is there, and nobody has said that it may be replaced
    """
    found = find_series(series, which) if series.is_dir() else None
    files = [series] if found is None else list(found.files)
    if found is None or len(found.files) > 1:
        refuse_output_in_input(series, output)
    read = [*files, *map(sidecar_path, files), *(path for path in others if path is not None)]
    for target in dict.fromkeys((output, sidecar_path(output))):
        if any(path.is_file() and target.exists() and target.samefile(path) for path in read):
            raise InputError(target, "is read, and would be written over", "choose another name")
    if output.is_file() and not overwrite:
        way_out = "choose another name, or allow it to be replaced"
        raise OutputError(output, "is there already", way_out, Setting.OVERWRITE)
