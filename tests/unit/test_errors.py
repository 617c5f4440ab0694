"""The tree of errors: whole, and each side that can be guilty can be told by another process."""

from __future__ import annotations

import pytest

from pytest_ari_sla import errors
from pytest_ari_sla.errors import SlaError, error_of

KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SlaError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_and_among_the_public_names(kind: type[SlaError]) -> None:
    """Who reads the top of the file knows them all."""
    assert f"* {kind.__name__} - " in str(errors.__doc__)
    assert kind.__name__ in errors.__all__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_guilty_side_of_every_error_can_be_told_by_another_process(kind: type[SlaError]) -> None:
    """A fleet, and the other one of two targets, tell culprit and text."""
    told = error_of(kind.culprit, "what went wrong")
    assert (told.culprit, str(told)) == (kind.culprit, "what went wrong")
