"""Who the patient is, in order to keep it out of everything that is written.

DICOM files name the patient, and folders of them are often called after the patient too. Reports, tables, pages and
file names of this program say nothing of it; DICOM output, which goes back to the archive, is the one exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stunet_perfusion.support.folders import files_below

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
    for number, file in enumerate(files_below(path)):
        identity = _identity_of_file(file)
        if identity is not None or number == _MOST_FILES:
            return identity or Identity()
    return Identity()


def _identity_of_file(file: Path) -> Identity | None:
    """None where the file is no DICOM file."""
    from stunet_perfusion.support.dicom_dataset import read_header

    try:
        dataset = read_header(file, IDENTIFYING_TAGS)
        values = [str(dataset.get(tag) or "") for tag in IDENTIFYING_TAGS]
    except MemoryError:
        raise
    except Exception:  # no DICOM file, or a damaged one
        return None
    words = {word.lower() for value in values for word in (value, *re.split(r"[\s^=,]+", value))}
    return Identity(frozenset(word for word in words if len(word) >= _SHORTEST_WORD))


def _pattern(word: str) -> str:
    """Finds a word whatever separates its parts: Doe^John is also found as doe_john and DoeJohn."""
    pattern = r"[\W_]*".join(re.escape(part) for part in re.findall(r"[^\W_]+", word)) or re.escape(word)
    return pattern if len(word) >= _SHORTEST_PART else rf"(?<![^\W_]){pattern}(?![^\W_])"
