"""A folder of results that is one run's or another's, and never a mixture of both.

Results are written into a hidden folder beside, brought to the disk, and take the place of the old folder at once. That
needs a folder that holds nothing else. Where it holds other files, or cannot be replaced since somebody stands in it or
since it is a disk of its own, the results of before are removed first, and the new ones move in one by one, their
report last: then a folder that has no report is that of a run that was killed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stunet_perfusion.support.errors import InputError, OutputError, Setting
from stunet_perfusion.support.folders import STAGE_PREFIX
from stunet_perfusion.support.staged import (
    REPLACED,
    REPLACED_NAME,
    bring_to_disk,
    make_folder,
    move_files,
    naming_final_places,
    remove_folders,
    stage_in,
    staged_output,
    writing_to,
)

#: Names of the files of a former run in a folder, relative to it; None where it holds no whole run of this program.
FormerFiles = Callable[[Path], frozenset[str] | None]

_AT_CURRENT_FOLDER, _EXCHANGE = -100, 2


def no_former_files(folder: Path) -> frozenset[str] | None:
    """Whatever is in a folder, it is of somebody else."""
    return None


@contextmanager
def staged_folder(
    folder: str | Path,
    former_files: FormerFiles = no_former_files,
    *,
    inputs: Iterable[Path] = (),
    expected: Iterable[str] = (),
    overwrite: bool = False,
) -> Iterator[Path]:
    """A hidden folder for the results of one run, which become `folder` when the block ends well.

    :param former_files: what of a run of before would be replaced
    :param inputs: files that are read and must not be touched
    :param expected: names of files that are certainly written: where one is in the way, nothing is computed first
    :param overwrite: whether files that are in the way and are of nobody who is known may be replaced
    :raises InputError: an input would be replaced
    :raises OutputError: the folder cannot be made or written, now or in the end, or holds files that are in the way
    """
    folder = Path(folder)
    former = _former(folder, former_files)
    inputs = tuple(inputs)
    _refuse_inputs(folder, former, inputs)
    if not overwrite:
        for name in expected:
            if name not in former and (folder / name).exists():
                raise _in_the_way(folder / name)
    others = _others(folder, former)
    if others or not _can_be_replaced(folder):
        with staged_output(folder) as stage:
            yield stage
            _refuse_in_the_way(folder, stage, former, inputs, overwrite)
            with writing_to(folder):
                bring_to_disk(stage)
                _remove(folder, former)
        return
    made = make_folder(folder.parent)
    try:
        with stage_in(folder.parent, folder) as stage:
            with naming_final_places(stage, folder), writing_to(folder, within=folder.parent):
                yield stage
            with writing_to(folder):
                # What came into the folder meanwhile is not lost.
                late = _others(folder, former)
                if late:
                    _refuse_in_the_way(folder, stage, former, inputs, overwrite)
                    folder.mkdir(parents=True, exist_ok=True)
                    _remove(folder, former)
                    move_files(stage, folder)
                else:
                    bring_to_disk(stage)
                    _put_in_place(stage, folder)
    except BaseException:
        remove_folders(made)
        raise


def _former(folder: Path, former_files: FormerFiles) -> frozenset[str]:
    if not folder.is_dir():
        return frozenset()
    return former_files(folder) or frozenset()


def _others(folder: Path, former: frozenset[str]) -> list[str]:
    """What is in a folder besides the results of before, and what a killed process has left."""
    if not folder.is_dir():
        return []
    tops = {Path(name).parts[0] for name in former}
    found = [
        entry.relative_to(folder).as_posix()
        for top in tops
        if (folder / top).is_dir()
        for entry in (folder / top).rglob("*")
        if not entry.is_dir() and entry.relative_to(folder).as_posix() not in former
    ]
    return found + [
        entry.name for entry in folder.iterdir() if entry.name not in tops and not entry.name.startswith(STAGE_PREFIX)
    ]


def _can_be_replaced(folder: Path) -> bool:
    """Whether another folder may take its place: nobody stands in it, as far as this process knows, and it is no disk
    or link to somewhere else.
    """
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        return False
    if not folder.exists():
        return not folder.is_symlink()
    here = Path.cwd().resolve()
    place = folder.resolve()
    return not folder.is_symlink() and not os.path.ismount(folder) and place != here and place not in here.parents


def _refuse_inputs(folder: Path, former: frozenset[str], inputs: Iterable[Path]) -> None:
    replaced = {(folder / name).resolve() for name in former}
    for path in inputs:
        if path.resolve() in replaced:
            raise InputError(path, "is read, and would be replaced by the results", "choose another folder")


def _refuse_in_the_way(
    folder: Path, stage: Path, former: frozenset[str], inputs: Iterable[Path], overwrite: bool
) -> None:
    """Refuse to replace files that are no results of before.

    :raises InputError: one is an input
    :raises OutputError: one is something else, and nobody has said that it may be replaced
    """
    read = [path for path in inputs if path.is_file()]
    for file in stage.rglob("*"):
        target = folder / file.relative_to(stage)
        if file.is_dir() or not target.exists() or file.relative_to(stage).as_posix() in former:
            continue
        if any(target.samefile(path) for path in read):
            raise InputError(target, "is read, and would be replaced by the results", "choose another folder")
        if not overwrite and not target.is_dir():
            raise _in_the_way(target)


def _in_the_way(file: Path) -> OutputError:
    fact = "is there already, and is not a part of what one run of this program has written here"
    return OutputError(file, fact, "choose another folder, or allow it to be replaced", Setting.OVERWRITE)


def _remove(folder: Path, former: frozenset[str]) -> None:
    """Remove results of before, what tells of them first."""
    for name in sorted(former, key=lambda name: (not name.endswith(".json"), name)):
        with suppress(FileNotFoundError):
            (folder / name).unlink()


def _put_in_place(stage: Path, folder: Path) -> None:
    """Let a folder take the place of another, which ends up in its."""
    if folder.exists():
        shutil.copymode(folder, stage)
        if _exchange(stage, folder):
            _sync_parent(folder)
            return
        holder = stage.parent
        # Should the process end between the two, whoever sweeps here puts the old folder back.
        (holder / REPLACED_NAME).write_text(folder.name, encoding="utf-8")
        os.rename(folder, holder / REPLACED)
    os.rename(stage, folder)
    _sync_parent(folder)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders at once, where the system can."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    first, second = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    return rename(_AT_CURRENT_FOLDER, first, _AT_CURRENT_FOLDER, second, _EXCHANGE) == 0


def _sync_parent(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
