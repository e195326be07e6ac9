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
from stunet_perfusion.support.held import hold, sweep

#: In a hidden folder: what is being written, what it replaces, and the name of that.
CONTENT, REPLACED, REPLACED_NAME = "content", "replaced", "replaced.txt"

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
def staged_output(folder: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """A hidden folder for results, which move into `folder` when the block ends well.

    It is made inside `folder` before anything is computed, so that a folder that cannot be written costs no
    computation, and so that moving is a mere renaming on the same disk. When the block fails, or is stopped,
    `folder` is left as it was: with its old files, or not there at all.

    The files move one by one. JSON documents, which tell of the others, move last, and those that they replace are
    removed before the first file moves: however a process ends, no document lies beside files of another run.

    :param durable: whether files are on the disk, and not only on their way, before they move
    :raises OutputError: the folder cannot be made or written, now or in the end
    """
    with _staged(Path(folder), Path(folder), durable) as stage:
        yield stage


@contextmanager
def _staged(folder: Path, target: Path, durable: bool = True) -> Iterator[Path]:
    """`staged_output`, which blames what cannot be written on `target`: the folder, or the one file that goes there."""
    made = make_folder(folder)
    try:
        with (
            stage_in(folder, target) as stage,
            naming_final_places(stage, folder),
            writing_to(target, within=folder),
        ):
            yield stage
            if durable:
                bring_to_disk(stage)
            move_files(stage, folder)
    except BaseException:
        remove_folders(made)
        raise


@contextmanager
def stage_in(place: Path, target: Path) -> Iterator[Path]:
    """A folder in a hidden one in `place`, which is held as long as the block goes on, and is gone afterwards.

    What killed processes have left in `place` is swept before.

    :param target: what is blamed where it cannot be made
    :raises OutputError: it cannot be made
    """
    sweep(place, STAGE_PREFIX, restore)
    with writing_to(target):
        holder = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=place))
    try:
        with hold(holder):
            with writing_to(target):
                (holder / CONTENT).mkdir()
            yield holder / CONTENT
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def restore(holder: Path) -> None:
    """Put back what a killed process had moved out of the way, where nothing has come into its place."""
    try:
        name = (holder / REPLACED_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    old = holder / REPLACED
    if name and Path(name).name == name and old.is_dir() and not (holder.parent / name).exists():
        old.rename(holder.parent / name)


@contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """The same for a single file: write to the path that is given, and it becomes `path`.

    What else the block writes beside it, such as a sidecar, moves along.

    :raises OutputError: as `staged_output`
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(path, "is a folder, not a file", "add a file name to it")
    if any(part.startswith(STAGE_PREFIX) for part in path.parent.parts):
        # It is on its way with all that is staged there, and becomes visible and durable with it.
        make_folder(path.parent)
        with writing_to(path, within=path.parent):
            yield path
        return
    with _staged(path.parent, path) as stage, writing_to(stage / path.name, within=stage):
        yield stage / path.name


@contextmanager
def writing_to(target: Path, within: Path | None = None) -> Iterator[None]:
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
def naming_final_places(stage: Path, folder: Path) -> Iterator[None]:
    """Errors name the place where the user wanted the file, not the hidden one."""
    try:
        yield
    except OutputError as error:
        subject = Path(error.subject)
        if stage not in (subject, *subject.parents):
            raise
        raise OutputError(folder / subject.relative_to(stage), error.fact, error.way_out, *error.settings) from error


def make_folder(folder: Path) -> list[Path]:
    """Make `folder` and what is missing above it, and return what was made, outermost first."""
    made: list[Path] = []
    try:
        with writing_to(folder):
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
        remove_folders(made)
        raise
    return made


def _no_folder(folder: Path, file: Path) -> OutputError:
    return OutputError(folder, f"cannot be a folder, since {file} is a file", "choose another folder")


def remove_folders(folders: list[Path]) -> None:
    """Remove folders that are empty, innermost first."""
    for place in reversed(folders):
        with suppress(OSError):
            place.rmdir()


def move_files(stage: Path, folder: Path) -> None:
    """Move files one by one: see `staged_output`."""
    files = sorted(file.relative_to(stage) for file in stage.rglob("*") if file.is_file())
    for file in files:
        if (folder / file).is_dir():
            raise OutputError(folder / file, "is a folder where a file is to be written", "choose another folder")
    documents = [file for file in files if file.suffix == ".json"]
    others = [file for file in files if file.suffix != ".json"]
    if others:
        for file in documents:
            (folder / file).unlink(missing_ok=True)
    for file in (*others, *documents):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage / file, folder / file)


def bring_to_disk(folder: Path) -> None:
    """Wait until all files of a folder are on the disk, where the system can tell."""
    for root, _, names in os.walk(folder):
        for name in names:
            _sync(Path(root) / name)
        _sync(Path(root))


def _sync(path: Path) -> None:
    # Windows syncs no folders, and some network disks sync nothing.
    with suppress(PermissionError, IsADirectoryError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise
        finally:
            os.close(handle)
