"""Results appear all at once and complete, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stunet_perfusion.support.errors import OutputError, StUNetPerfusionError
from stunet_perfusion.support.folders import STAGE_PREFIX

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another folder"),
    errno.EFBIG: ("the file grows larger than the system allows", "choose another folder or disk"),
    errno.EACCES: ("writing there is not allowed", "choose another folder, or ask for the right to write"),
    errno.EPERM: ("writing there is not allowed", "choose another folder, or ask for the right to write"),
    errno.EROFS: ("the disk is read-only", "choose another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


@contextmanager
def staged_output(folder: str | Path) -> Iterator[Path]:
    """A hidden folder for results, which move into `folder` when the block ends well.

    It is made inside `folder` before anything is computed, so that a folder that cannot be written costs no
    computation, and so that moving is a mere renaming on the same disk. When the block fails, or is stopped,
    `folder` is left as it was: with its old files, or not there at all.

    :raises OutputError: the folder cannot be made or written, now or in the end
    """
    with _staged(Path(folder), Path(folder)) as stage:
        yield stage


@contextmanager
def _staged(folder: Path, target: Path) -> Iterator[Path]:
    """`staged_output`, which blames what cannot be written on `target`: the folder, or the one file that goes there."""
    made = _make_folder(folder)
    try:
        with _writing_to(target):
            stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=folder))
        try:
            with _naming_final_places(stage, folder), _writing_to(target, within=folder):
                yield stage
                _move(stage, folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except BaseException:
        _remove_folders(made)
        raise


@contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """The same for a single file: write to the path that is given, and it becomes `path`.

    What else the block writes beside it, such as a sidecar, moves along.

    :raises OutputError: as `staged_output`
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(path, "is a folder, not a file", "add a file name to it")
    with _staged(path.parent, path) as stage, _writing_to(stage / path.name, within=stage):
        yield stage / path.name


@contextmanager
def _writing_to(target: Path, within: Path | None = None) -> Iterator[None]:
    """Turns what the system says about a failed write into one sentence.

    :param within: errors about named files outside of this folder are not about writing, and pass
    """
    try:
        yield
    except StUNetPerfusionError:
        raise
    except OSError as error:
        elsewhere = within is not None and error.filename is not None and within not in Path(error.filename).parents
        if error.errno is None or elsewhere:
            raise
        reason, way_out = _REASONS.get(error.errno, (error.strerror, "choose another folder"))
        raise OutputError(target, f"cannot be written: {reason}", way_out) from error


@contextmanager
def _naming_final_places(stage: Path, folder: Path) -> Iterator[None]:
    """Errors name the place where the user wanted the file, not the hidden one."""
    try:
        yield
    except OutputError as error:
        subject = Path(error.subject)
        if stage not in (subject, *subject.parents):
            raise
        raise OutputError(folder / subject.relative_to(stage), error.fact, error.way_out) from error


def _make_folder(folder: Path) -> list[Path]:
    """Make `folder` and what is missing above it, and return what was made, outermost first."""
    made: list[Path] = []
    try:
        with _writing_to(folder):
            missing = [place for place in (folder, *folder.parents) if not place.exists()]
            for place in reversed(missing):
                if place.parent.exists() and not place.parent.is_dir():
                    raise _no_folder(folder, place.parent)
                try:
                    place.mkdir()
                except FileExistsError:
                    if not place.is_dir():
                        raise
                    continue  # another process that writes beside us made it first; it is not ours to remove
                made.append(place)
            if not folder.is_dir():
                raise _no_folder(folder, folder)
    except OutputError:
        _remove_folders(made)
        raise
    return made


def _no_folder(folder: Path, file: Path) -> OutputError:
    return OutputError(folder, f"cannot be a folder, since {file} is a file", "choose another folder")


def _remove_folders(folders: list[Path]) -> None:
    """Remove folders that are empty, innermost first."""
    for place in reversed(folders):
        with suppress(OSError):
            place.rmdir()


def _move(stage: Path, folder: Path) -> None:
    files = sorted(file.relative_to(stage) for file in stage.rglob("*") if file.is_file())
    for file in files:
        if (folder / file).is_dir():
            raise OutputError(folder / file, "is a folder where a file is to be written", "choose another folder")
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage / file, folder / file)
