"""From a line of the protocol to a request whose arguments have the right types."""

from __future__ import annotations

import json
import types
from dataclasses import MISSING, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stunet_perfusion.support.documents import json_object
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.worker.protocol import REQUESTS, Request

_WAY_OUT = "follow stunet_perfusion/worker/protocol.py"


def parse_line(line: bytes) -> dict[str, Any]:
    """The JSON object of a line that has an id and says what to do.

    :raises InputError: anything else
    """
    try:
        message = json_object(line)
    except ValueError as error:
        raise InputError("request", f"is no JSON object ({error})", _WAY_OUT) from None
    number = message.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise InputError("request", "has no id that is an integer from 0 on", _WAY_OUT)
    return message


def parse_request(message: dict[str, Any]) -> Request:
    """What a message asks for.

    :param message: with `do` and the arguments; `id` is passed over
    :raises InputError: something that is not known, or an argument that is missing, unknown or of another type
    """
    kind = REQUESTS.get(message["do"]) if isinstance(message.get("do"), str) else None
    if kind is None:
        raise InputError(
            "request", f"asks for {json.dumps(message.get('do'))}, which is not known", f"ask for {', '.join(REQUESTS)}"
        )
    arguments = {name: value for name, value in message.items() if name not in ("id", "do")}
    hints = get_type_hints(kind)
    for field in fields(kind):
        if field.name not in arguments and field.default is MISSING:
            raise InputError(kind.do, f"lacks the argument '{field.name}'", _WAY_OUT)
    for name, value in arguments.items():
        if name not in {field.name for field in fields(kind)}:
            raise InputError(kind.do, f"has no argument '{name}'", _WAY_OUT)
        if not _fits(value, hints[name]):
            raise InputError(kind.do, f"has a wrong value for '{name}': {json.dumps(value)[:60]}", _WAY_OUT)
    return kind(**arguments)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value that came as JSON is of a type. An integer is a number as well; true and false are none."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    kind = origin or hint
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)
