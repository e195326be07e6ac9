"""Which of the images in a folder are the DSC series: one series, one echo, magnitude."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from stunet_perfusion.reading.dicom_files import DicomFile, SeriesName
from stunet_perfusion.reading.dicom_headers import ImageHeader
from stunet_perfusion.support.errors import InputError, Setting

#: Scales are written with a few digits.
_SAME_SCALE = 1.001

#: A sentence that lists more is read by nobody.
_MOST_LISTED = 6


def images_of_one_series(
    path: Path, files: list[DicomFile], wanted: str | None
) -> tuple[list[ImageHeader], tuple[str, ...]]:
    """The images of a series.

    :param path: the folder, for messages
    :param wanted: UID, number or description of the series, or a part of its description; None where there is but one
    :returns: the images, and notes about what was left out
    :raises InputError: several series, which are listed, or several echoes; no magnitude; or a file is no part of a
        series of MR images
    """
    chosen = _files_of_series(path, files, wanted)
    problem = next((file.problem for file in chosen if file.problem is not None), None)
    if problem is not None:
        raise problem
    images, notes = _magnitude(path, [image for file in chosen for image in file.images])
    images, derived_notes = _without_derived(images)
    _refuse_several_echoes(path, images)
    return images, (*notes, *derived_notes, *_scale_notes(images))


def _files_of_series(path: Path, files: list[DicomFile], wanted: str | None) -> list[DicomFile]:
    counts = Counter(file.series.uid for file in files)
    names = {file.series.uid: file.series for file in files}
    if wanted is not None:
        uid = _wanted_series(path, names, counts, wanted)
    elif len(counts) == 1:
        (uid,) = counts
    else:
        raise InputError(
            path,
            f"holds {len(counts)} series ({_listed(names, counts)})",
            "choose one by its number, description or UID, or give a folder with the files of one",
            Setting.SERIES,
        )
    return [file for file in files if file.series.uid == uid]


def _wanted_series(path: Path, names: dict[str, SeriesName], counts: Counter[str], wanted: str) -> str:
    """UID of the series that `wanted` names: exactly, or else by a part of its description."""
    word = wanted.strip().casefold()
    exact = [uid for uid, name in names.items() if word in (uid, name.number, name.description.casefold())]
    found = exact or [uid for uid, name in names.items() if word in name.description.casefold()]
    found = found if word else []
    if len(found) == 1:
        return found[0]
    if not found:
        fact = f"holds no series '{wanted}', but {_listed(names, counts)}"
        way_out = "give the number, description or UID of one of them"
    else:
        some = Counter({uid: counts[uid] for uid in found})
        fact = f"holds {len(found)} series that are called '{wanted}' ({_listed(names, some, with_uid=True)})"
        way_out = "give the UID of one of them"
    raise InputError(path, fact, way_out, Setting.SERIES)


def _listed(names: dict[str, SeriesName], counts: Counter[str], with_uid: bool = False) -> str:
    """The series with most files first. Those that are called alike have their UID, by which they can be chosen."""
    alike = Counter(str(names[uid]) for uid in counts)
    words = []
    for uid, count in counts.most_common(_MOST_LISTED):
        name = str(names[uid])
        which = f", UID {uid}" if with_uid or alike[name] > 1 else ""
        words.append(f"{name}, {count} {'file' if count == 1 else 'files'}{which}")
    more = len(counts) - len(words)
    return "; ".join(words) + (f"; and {more} more" if more > 0 else "")


def _magnitude(path: Path, images: list[ImageHeader]) -> tuple[list[ImageHeader], tuple[str, ...]]:
    """The magnitude images, where a series holds others beside them."""
    counts = Counter(image.component for image in images)
    others = [component for component in counts if component not in ("magnitude", "")]
    if not others:
        return images, ()
    left = " and ".join(others)
    # Where no image says that it is magnitude, those that say nothing are.
    wanted = next((component for component in ("magnitude", "") if component in counts), None)
    if wanted is None:
        raise InputError(path, f"holds {left} images", "give the series with the magnitude images")
    kept = [image for image in images if image.component == wanted]
    return kept, (f"{len(images) - len(kept)} {left} images of the series were left out.",)


def _without_derived(images: list[ImageHeader]) -> tuple[list[ImageHeader], tuple[str, ...]]:
    """The images that the scanner measured, where it put maps that it computed from them into the same series."""
    measured = [image for image in images if not image.derived]
    left = len(images) - len(measured)
    if not left or left > len(measured):
        return images, ()
    return measured, (f"{left} derived images of the series, such as maps of the scanner, were left out.",)


def _refuse_several_echoes(path: Path, images: list[ImageHeader]) -> None:
    echoes = sorted({image.echo_time for image in images if image.echo_time is not None})
    if len(echoes) > 1:
        listed = ", ".join(f"{1000 * echo:g} ms" for echo in echoes[:_MOST_LISTED])
        raise InputError(path, f"holds images of {len(echoes)} echo times ({listed})", "give the files of one echo")


def _scale_notes(images: list[ImageHeader]) -> tuple[str, ...]:
    """A note where Philips images differ in what turns the values taken here into those that were measured."""
    scales = [image.slope * image.scale_slope for image in images if image.scale_slope is not None]
    if not scales or max(scales) <= _SAME_SCALE * min(scales):
        return ()
    return (
        "The displayed values of the Philips images are taken, and their private scale slope (2005,100E), which "
        "differs from image to image, is left out.",
    )
