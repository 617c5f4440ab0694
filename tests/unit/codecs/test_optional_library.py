import json

import pytest

from pytest_ari_sla.codecs.optional_library import load_library
from pytest_ari_sla.errors import UsageError


def test_a_missing_library_is_asked_for_by_the_extra() -> None:
    """The message names the codec, the library, and the command that installs it."""
    with pytest.raises(
        UsageError, match=r"codec G722 needs .*'no_such_library'.* pip install 'pytest-ari-sla\[codecs\]'"
    ):
        load_library("no_such_library", "G722")


def test_a_library_that_is_there_is_returned() -> None:
    """The module itself comes back."""
    assert load_library("json", "G722") is json
