"""Sentences without names of files. Folders and files are often called after the patient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stunet_perfusion.support.identity import Identity, identity_of

_ENDING = r"(?:\.seq\.nrrd|\.nii\.gz|\.nii|\.nrrd|\.nhdr|\.json|\.dcm|\.ima|\.txt)"

#: A word that is the name of a file, whatever file that is.
_FILE = re.compile(rf"[^\s\[\]()']+({_ENDING})(?![\w.])", re.IGNORECASE)


def without_names(text: str, files: Mapping[str, Path]) -> str:
    """A sentence in which files are called by what they are to the run: `[mask].nii.gz is on another grid`.

    :param text: a note or an error
    :param files: role to path
    """
    return _without_names(text, files, _identity(files))


def anonymized(document: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """A document all of whose sentences are `without_names`."""
    identity = _identity(files)

    def of_part(part: Any) -> Any:
        if isinstance(part, str):
            return _without_names(part, files, identity)
        if isinstance(part, Mapping):
            return {name: of_part(each) for name, each in part.items()}
        return [of_part(each) for each in part] if isinstance(part, list | tuple) else part

    return {name: of_part(part) for name, part in document.items()}


def _identity(files: Mapping[str, Path]) -> Identity:
    return identity_of(files["series"]) if "series" in files else Identity()


def _without_names(text: str, files: Mapping[str, Path], identity: Identity) -> str:
    for role, path in files.items():
        for whole in dict.fromkeys((str(path), str(path.resolve()))):
            text = text.replace(whole, f"[{role}]")
        stem = re.sub(rf"{_ENDING}$", "", path.name, flags=re.IGNORECASE)
        if stem:
            text = re.sub(rf"{re.escape(stem)}({_ENDING})(?![\w.])", rf"[{role}]\1", text, flags=re.IGNORECASE)
        if path.suffix == "" and len(path.name) > 2:
            text = re.sub(rf"^{re.escape(path.name)}(?=: )", f"[{role}]", text)
    return _FILE.sub(r"[file]\1", identity.withheld_from(text))
