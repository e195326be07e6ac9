"""Names and folders of BIDS data sets: `sub-01/perf/sub-01_dsc.nii.gz` and the JSON files that apply to it.

Source: bids-specification.readthedocs.io, "Common principles". DSC perfusion has no suffix in the standard yet; `_dsc`
is the one in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: The file that only the top folder of a data set has.
_DESCRIPTION = "dataset_description.json"


@dataclass(frozen=True)
class BidsName:
    """What a file's name says: `sub-01_task-rest_dsc.nii.gz` is the suffix `dsc` of the entities sub and task."""

    entities: frozenset[str]
    suffix: str

    @classmethod
    def of(cls, path: Path) -> BidsName:
        """The name up to its first dot. Parts without a hyphen, but for the last, are left out."""
        *parts, suffix = path.name.split(".", 1)[0].split("_")
        return cls(frozenset(part for part in parts if "-" in part), suffix)

    @property
    def is_of_subject(self) -> bool:
        """Whether this is the name of an image of a data set."""
        return any(entity.startswith("sub-") for entity in self.entities)


def is_dataset(folder: Path) -> bool:
    """Whether this is the top folder of a data set."""
    return (folder / _DESCRIPTION).is_file()


def sidecars_of(image: Path) -> list[Path]:
    """The JSON files that apply to an image, from the top folder of the data set down to that of the image.

    A file applies where its suffix is that of the image and the image has all its entities. What a later one says
    overrules the earlier ones.
    """
    name = BidsName.of(image)
    files = []
    for folder in _folders_down_to(image):
        here = [file for file in folder.glob("*.json") if file.is_file()]
        applying = [file for file in here if _applies(BidsName.of(file), name)]
        files += sorted(applying, key=lambda file: (len(BidsName.of(file).entities), file.name))
    return files


def _applies(sidecar: BidsName, image: BidsName) -> bool:
    return sidecar.suffix == image.suffix and sidecar.entities <= image.entities


def _folders_down_to(image: Path) -> list[Path]:
    """From the top folder of the data set: the one with the description, or else the one above the subject's."""
    above = list(image.absolute().parents)
    described = [place for place, folder in enumerate(above) if is_dataset(folder)]
    of_subject = [place + 1 for place, folder in enumerate(above) if folder.name.startswith("sub-")]
    top = min(described, default=min(of_subject[-1:], default=0))
    return above[top::-1]
