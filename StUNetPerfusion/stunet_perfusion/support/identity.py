"""Who the patient is, in order to keep it out of everything that is written.

DICOM files name the patient, and folders of them are often called after the patient too. Reports, tables, pages and
file names of this program say nothing of it; DICOM output, which goes back to the archive, is the one exception.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: The tags that tell who a patient is.
IDENTIFYING_TAGS = (
    "PatientName",
    "PatientBirthName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthDate",
    "AccessionNumber",
)

#: What is written where the patient was named.
WITHHELD = "[patient]"

#: Shorter words, such as initials or the number 1, are everywhere and identify nobody.
_SHORTEST_WORD = 3

#: Words of at least this length are found inside of longer ones too: a folder may be called DoeJohn1953.
_SHORTEST_PART = 5

#: A folder without a DICOM image among so many files is taken as one of something else.
_MOST_FILES = 50


@dataclass(frozen=True)
class Identity:
    """Words that identify a patient, as the tags of a DICOM file have them.

    :param words: in lower case
    """

    words: frozenset[str] = frozenset()

    def is_named_in(self, text: str) -> bool:
        """Whether a text names the patient."""
        return any(re.search(_pattern(word), text, re.IGNORECASE) for word in self.words)

    def withheld_from(self, text: str) -> str:
        """The text without what names the patient."""
        for word in sorted(self.words, key=len, reverse=True):
            text = re.sub(_pattern(word), WITHHELD, text, flags=re.IGNORECASE)
        return text


def identity_of(path: Path) -> Identity:
    """Who the patient of an input is: nobody where it is not DICOM, since other formats do not name anybody.

    :param path: file or folder; it need not exist
    """
    if path.is_file():
        return _identity_of_file(path) or Identity()
    for number, file in enumerate(_files(path)):
        identity = _identity_of_file(file)
        if identity is not None or number == _MOST_FILES:
            return identity or Identity()
    return Identity()


def _files(folder: Path) -> Iterator[Path]:
    return (Path(root) / name for root, _, names in os.walk(folder) for name in sorted(names))


def _identity_of_file(file: Path) -> Identity | None:
    """None where the file is no DICOM file."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(IDENTIFYING_TAGS))
        values = [str(dataset.get(tag) or "") for tag in IDENTIFYING_TAGS]
    except (InvalidDicomError, OSError, ValueError, EOFError):
        return None
    words = {word.lower() for value in values for word in (value, *re.split(r"[\s^=,]+", value))}
    return Identity(frozenset(word for word in words if len(word) >= _SHORTEST_WORD))


def _pattern(word: str) -> str:
    """Finds a word whatever separates its parts: Doe^John is also found as doe_john and DoeJohn."""
    pattern = r"[\W_]*".join(re.escape(part) for part in re.findall(r"[^\W_]+", word)) or re.escape(word)
    return pattern if len(word) >= _SHORTEST_PART else rf"(?<![^\W_]){pattern}(?![^\W_])"
