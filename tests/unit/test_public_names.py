"""What tests and plug-ins import from the package itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_ari_sla

_ROOT = Path(__file__).parents[2]
_GUIDES = [_ROOT / "README.md", *sorted(_ROOT.glob("plugins/*.md")), *sorted(_ROOT.glob("docs/**/*.md"))]
_OPEN_ROOMS = ("testing",)


@pytest.mark.parametrize("name", pytest_ari_sla.__all__)
def test_every_name_that_is_promised_is_there(name: str) -> None:
    """Each leads to an object."""
    assert getattr(pytest_ari_sla, name) is not None


def test_a_name_that_is_not_there_is_refused() -> None:
    """As by any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = pytest_ari_sla.Nothing


@pytest.mark.parametrize("guide", _GUIDES, ids=lambda guide: str(guide.relative_to(_ROOT)))
def test_guides_import_from_the_package_itself(guide: Path) -> None:
    """A reader needs to know no room of the house, but for the helpers of authors' tests."""
    deep = re.findall(r"^\s*(?:from|import) pytest_ari_sla\.(\w+)", guide.read_text(), re.MULTILINE)
    assert [room for room in deep if room not in _OPEN_ROOMS] == []
