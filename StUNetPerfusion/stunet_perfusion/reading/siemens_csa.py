"""Siemens' private "CSA" header: a table of named lists of text, in binary.

The layout is known from nibabel's documentation (nipy.org/nibabel/dicom/siemens_csa.html). Everything is little-endian.
Version 2 begins with `SV10` and four bytes without meaning. Then come the number of tags and a check number, four bytes
each; and for every tag 84 bytes: name (64), number of values, type (4 letters), a code of the type, number of items,
and a check number. Every item is four numbers of four bytes, which give its length, and its text, filled up to a
multiple of four bytes.
"""

from __future__ import annotations

import struct

_VERSION_2 = b"SV10"
_COUNTS = struct.Struct("<2I")
_TAG = struct.Struct("<64si4s3i")
_ITEM = struct.Struct("<4i")

#: More tags or items than any header has.
_MOST = 1000


def read_csa(content: bytes) -> dict[str, tuple[str, ...]]:
    """The values of all tags, as text; tags without values are left out.

    :param content: value of the DICOM element (0029,1010) or (0029,1020)
    :raises ValueError: this is no CSA header, or a damaged one
    """
    second = content.startswith(_VERSION_2)
    try:
        return _tags(content, second)
    except struct.error as error:
        raise ValueError("a CSA header that ends early") from error


def _tags(content: bytes, second: bool) -> dict[str, tuple[str, ...]]:
    place = 8 if second else 0
    count, _ = _COUNTS.unpack_from(content, place)
    place += _COUNTS.size
    if not 0 < count <= _MOST:
        raise ValueError(f"a CSA header with {count} tags")
    tags: dict[str, tuple[str, ...]] = {}
    added = 0
    for number in range(count):
        name, _, _, _, items, _ = _TAG.unpack_from(content, place)
        place += _TAG.size
        if not 0 <= items <= _MOST:
            raise ValueError(f"a CSA tag with {items} items")
        if number == 0:
            # In version 1 every length has the first tag's number of items added to it.
            added = 0 if second else items
        values = []
        for _ in range(items):
            lengths = _ITEM.unpack_from(content, place)
            place += _ITEM.size
            length = lengths[1] if second else lengths[0] - added
            if not 0 <= length <= len(content) - place:
                if second:
                    raise ValueError("a CSA item that is longer than its header")
                # What follows the last value of a tag in version 1 is not always a length.
                break
            values.append(_text(content[place : place + length]))
            place += length + -length % 4
        values = [value for value in values if value]
        if values:
            tags[_text(name)] = tuple(values)
    return tags


def _text(content: bytes) -> str:
    return content.split(b"\0", 1)[0].decode("latin-1").strip()
