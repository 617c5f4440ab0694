"""Reads JSON that does not keep to ARI's description: what fits is taken, the rest is left out.

The other end is the thing under test, and programs between may spoil what it says. A null where a text should be, a
missing member or a caller's name that is not UTF-8 must not cost the id of the channel that an event is about.
"""

from __future__ import annotations

import json
import types
from functools import cache
from math import isfinite
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

__all__ = ["UNREADABLE", "decode_answer", "fitting", "parse"]

T = TypeVar("T")

#: What decoders raise: wrong JSON and wrong shape, text that is not UTF-8, numbers without end, nesting without end.
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError, ValueError, OverflowError)


def decode_answer(body: bytes, expected: type[T]) -> T:
    """Return a body as a record, or as a list of records.

    Raises
    ------
    msgspec.DecodeError
        It is not JSON, or lacks what a record cannot be without: its id.
    """
    try:
        return msgspec.json.decode(body, type=expected)
    except UNREADABLE as strict_problem:
        try:
            record: T = fitting(parse(body), expected)
            return record
        except msgspec.DecodeError:  # the lenient reading names the member that is missing (ValidationError is one)
            raise
        except UNREADABLE:
            raise msgspec.DecodeError(str(strict_problem)) from strict_problem


def parse(message: str | bytes) -> Any:
    """Return JSON as plain built-ins.

    Bytes that are not UTF-8, and lone surrogates, become replacement characters; numbers that are none become None.

    Raises
    ------
    msgspec.DecodeError, ValueError, RecursionError
        It is not JSON.
    """
    text = message if isinstance(message, str) else message.decode("utf-8", "replace")
    return _writable(json.loads(text, strict=False))


def _writable(plain: Any) -> Any:
    """Return built-ins that can be written anywhere."""
    if isinstance(plain, float) and not isfinite(plain):
        return None
    if isinstance(plain, str):
        return plain.encode("utf-8", "replace").decode("utf-8")
    if isinstance(plain, list):
        return [_writable(item) for item in plain]
    if isinstance(plain, dict):
        return {_writable(key): _writable(value) for key, value in plain.items()}
    return plain


def fitting(plain: Any, expected: Any) -> Any:
    """Return built-ins as a type, without the members that do not fit.

    Parameters
    ----------
    plain
        From :func:`parse`.
    expected
        A record, a list or tuple of records, an optional record, or any type that msgspec knows.

    Raises
    ------
    msgspec.ValidationError
        A member without a default is missing or does not fit.
    """
    origin, arguments = get_origin(expected), get_args(expected)
    if isinstance(expected, type) and issubclass(expected, msgspec.Struct) and isinstance(plain, dict):
        return _record(plain, expected)
    if origin in (list, tuple) and isinstance(plain, list):
        return origin(value for item in plain for value in _if_fitting(item, arguments[0]))
    if origin is dict and isinstance(plain, dict):
        return {key: value for key, item in plain.items() for value in _if_fitting(item, arguments[1])}
    if origin in (Union, types.UnionType) and isinstance(plain, dict):
        return fitting(plain, next(kind for kind in arguments if kind is not types.NoneType))
    return msgspec.convert(plain, expected)


def _record(plain: dict[str, Any], kind: type[msgspec.Struct]) -> msgspec.Struct:
    values = {
        name: value
        for name, encoded, member in _members(kind)
        if encoded in plain
        for value in _if_fitting(plain[encoded], member)
    }
    try:
        return kind(**values)
    except TypeError as missing:
        raise msgspec.ValidationError(f"{kind.__name__}: {missing}") from missing


@cache
def _members(kind: type[msgspec.Struct]) -> list[tuple[str, str, Any]]:
    """Return name, name in JSON and type of each member; looking them up takes longer than reading an event."""
    return [(field.name, field.encode_name, field.type) for field in msgspec.structs.fields(kind)]


def _if_fitting(plain: Any, expected: Any) -> list[Any]:
    """Return a value as a list of one; an empty list where it does not fit."""
    try:
        return [fitting(plain, expected)]
    except msgspec.ValidationError:
        return []
