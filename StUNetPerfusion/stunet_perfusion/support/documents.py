"""The door for documents from outside: JSON and TOML, whatever bytes they are.

A document is small, its tables are not nested deeply, and its numbers are numbers of this world. What a program takes
out of it is described by a dataclass, whose type hints are checked: `filled_in`.
"""

from __future__ import annotations

import json
import math
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from stunet_perfusion.support.errors import InputError

_Part = TypeVar("_Part")

#: Bytes of the largest document: a report or a sidecar of a long series has a hundredth of it.
LARGEST = 16 << 20

#: Tables and lists within each other.
DEEPEST = 32

#: No whole number has more digits than one of 64 bits.
_MOST_DIGITS = 20

_LARGEST_INTEGER = 1 << 63

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a table",
    list: "a list",
    tuple: "a list",
    types.NoneType: "nothing",
}


def read_json(path: Path, way_out: str = "mend it, or move it away") -> dict[str, Any]:
    """The JSON object of a file.

    :param way_out: what the user can do where there is none
    :raises InputError: it cannot be read, is too large, is no JSON or holds no object, see `parse_json`
    """
    try:
        return json_object(read_small(path, way_out))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, f"is not readable as JSON ({error})", way_out) from None


def json_object(content: bytes | str) -> dict[str, Any]:
    """As `parse_json`, and the document is a table of names and values.

    :raises ValueError: as `parse_json`, or another kind of document
    """
    document = parse_json(content)
    if not isinstance(document, dict):
        raise ValueError("it holds no JSON object")
    return document


def parse_json(content: bytes | str, *, constants: bool = True) -> Any:
    """A JSON document.

    :param constants: whether NaN and Infinity are taken, which are no JSON, but are written by some programs
    :raises ValueError: no JSON in UTF-8, tables within more than `DEEPEST` others, or a whole number that is too long;
        its text is a part of a sentence
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        document = json.loads(text, parse_int=_integer, parse_constant=None if constants else _refuse_constant)
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} in line {error.lineno}") from None
    except RecursionError:
        raise too_deep() from None
    check_depth(document)
    return document


def read_small(path: Path, way_out: str) -> bytes:
    """The content of a document's file.

    :raises InputError: it cannot be read, or has more than `LARGEST` bytes
    """
    try:
        with open(path, "rb") as file:
            content = file.read(min(LARGEST, os.fstat(file.fileno()).st_size) + 1)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})", way_out) from None
    except ValueError as error:
        raise InputError(repr(str(path)), f"is no path ({error})", "check the path") from None
    if len(content) > LARGEST:
        raise InputError(path, f"has more than {LARGEST >> 20} MB, which no document of this kind has", way_out)
    return content


def filled_in(kind: type[_Part], values: Any, *, others: bool = False, what: str = "") -> _Part:
    """A dataclass from a table of names and values, each checked against its type hint.

    :param values: as JSON or TOML has it
    :param others: whether names that the dataclass does not have are passed over
    :param what: the name of the table, for messages
    :raises TypeError: no table, a name that is not known or lacking, or a value of another type; its text is a part of
        a sentence
    """
    if not isinstance(values, dict):
        raise TypeError(f"{what or kind.__name__} is no table of names and values")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind) if field.init}  # type: ignore[arg-type]
    unknown = values.keys() - known.keys()
    if unknown and not others:
        raise TypeError(f"'{in_short(min(unknown))}' is not known")
    within = f"{what}." if what else ""
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise TypeError(f"{within}{name} is lacking")
    return kind(**{name: converted(f"{within}{name}", values[name], hints[name]) for name in known if name in values})


def typed_arguments(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the arguments of a dataclass from a table, each checked against its type hint.

    :raises TypeError: as `filled_in`
    """
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind) if field.init}
    for name in values:
        if name not in names:
            raise TypeError(f"'{in_short(name)}' is not known")
    return {name: converted(name, value, hints[name]) for name, value in values.items()}


def converted(name: str, value: Any, hint: Any, *, others: bool = False) -> Any:
    """A value as its type hint has it: lists become tuples where it says so, and whole numbers numbers.

    :param name: for the message
    :param others: whether a dataclass within it passes over names that it does not have
    :raises TypeError: it is of another type, or a number that is none (NaN, Infinity)
    """
    convert = _conversion(name, value, hint, others)
    if convert is None:
        raise TypeError(f"{name} is {in_short(value)}, not {in_words(hint)}")
    return convert()


def in_short(value: Any, longest: int = 40) -> str:
    """A value for a message."""
    text = json.dumps(value, default=repr) if not isinstance(value, str) else value
    return text if len(text) <= longest else text[:longest] + "…"


def in_words(hint: Any) -> str:
    """A type hint as a message has it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(in_words(each) for each in arguments))
    if origin is Literal:
        return " or ".join(map(str, arguments))
    return _WORDS.get(origin or hint, "a table" if is_dataclass(hint) else "of this kind")


def _conversion(name: str, value: Any, hint: Any, others: bool) -> Callable[[], Any] | None:
    """What makes the value; None where it is of another type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda: value
    if origin in (Union, types.UnionType):
        return next((make for each in arguments if (make := _conversion(name, value, each, others)) is not None), None)
    if origin is Literal:
        return (lambda: value) if any(value == each and type(value) is type(each) for each in arguments) else None
    kind = origin or hint
    if is_dataclass(kind) and isinstance(value, dict):
        return lambda: filled_in(kind, value, others=others, what=name)  # type: ignore[arg-type]
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return (lambda: float(value)) if fits else None
    if kind in (tuple, list) and isinstance(value, list | tuple):
        inner = arguments[0] if arguments else Any
        return lambda: kind(
            converted(f"{name}[{place}]", each, inner, others=others) for place, each in enumerate(value)
        )
    if kind in (dict, Mapping):
        inner = arguments[1] if len(arguments) == 2 else Any
        if not isinstance(value, dict):
            return None
        return lambda: {
            key: converted(f"{name}.{in_short(key)}", each, inner, others=others) for key, each in value.items()
        }
    if kind is Path:
        return (lambda: Path(value)) if isinstance(value, str) and "\0" not in value else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return None
    if kind is int and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        return None
    return lambda: value


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are no JSON."""
    raise ValueError(f"{name} is no number")


def check_depth(document: Any) -> None:
    """:raises ValueError: tables that are nested deeper than `DEEPEST`"""
    layer, depth = [document] if isinstance(document, dict | list) else [], 0
    while layer:
        if depth > DEEPEST:
            raise too_deep()
        layer = [
            each
            for value in layer
            for each in (value.values() if isinstance(value, dict) else value)
            if isinstance(each, dict | list)
        ]
        depth += 1


def too_deep() -> ValueError:
    """What is raised for tables that are nested deeper than `DEEPEST`."""
    return ValueError(f"its tables are nested more than {DEEPEST} deep")
