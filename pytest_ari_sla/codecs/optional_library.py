"""Libraries that only some codecs need: loaded on first use, and asked for by the extra that brings them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load_library"]


def load_library(module: str, codec_name: str) -> ModuleType:
    """Import and return a library of the extra ``codecs``.

    Raises
    ------
    UsageError
        It is not installed; the message names the codec and the command that helps.
    """
    try:
        return import_module(module)
    except ImportError as problem:
        raise UsageError(
            f"codec {codec_name} needs the library {module!r}, which is not installed here: "
            f"pip install 'pytest-ari-sla[codecs]' ({problem})"
        ) from problem
