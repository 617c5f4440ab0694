from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.udp.port_blocks import BLOCK_PORTS, PortBlocks, default_lock_folder

if TYPE_CHECKING:
    from pathlib import Path

LOW = 160 * BLOCK_PORTS


def test_blocks_of_a_range_are_claimed_once_each(tmp_path: Path) -> None:
    """All pairs of the range are given out, none twice, then nothing more."""
    blocks = PortBlocks(LOW, LOW + 3 * BLOCK_PORTS - 1, tmp_path)
    claimed = [port for _ in range(3) for port in blocks.claim() or ()]
    assert claimed == list(range(LOW, LOW + 3 * BLOCK_PORTS, 2))
    assert blocks.claim() is None
    blocks.close()


@pytest.mark.parametrize(
    ("low", "high", "pairs"),
    [
        (LOW, LOW + 1, [LOW]),
        (LOW + 1, LOW + 4, [LOW + 2]),
        (LOW + 1, LOW + 3, [LOW + 2]),
        (LOW + 2, LOW + 6, [LOW + 2, LOW + 4]),
        (LOW + 1, LOW + 2, []),
    ],
)
def test_a_pair_is_an_even_port_with_the_odd_one_above_it_inside_the_range(
    tmp_path: Path, low: int, high: int, pairs: list[int]
) -> None:
    """At odd ends of a range half a pair is left out."""
    blocks = PortBlocks(low, high, tmp_path)
    claimed = blocks.claim()
    blocks.close()
    assert claimed is not None
    assert list(claimed) == pairs


def test_ranges_that_begin_elsewhere_agree_on_the_blocks(tmp_path: Path) -> None:
    """A run with another range never gets a port of a block that is held."""
    first = PortBlocks(LOW + 10, LOW + BLOCK_PORTS - 1, tmp_path)
    assert first.claim()
    second = PortBlocks(LOW, LOW + 2 * BLOCK_PORTS - 1, tmp_path)
    assert second.claim() == range(LOW + BLOCK_PORTS, LOW + 2 * BLOCK_PORTS - 1, 2)
    assert second.claim() is None
    assert second.held_by_others == 1
    first.close()
    assert second.claim() == range(LOW, LOW + BLOCK_PORTS - 1, 2)
    second.close()


def test_lock_files_are_for_this_user_only(tmp_path: Path) -> None:
    """Nobody else can hold our ports by locking our files."""
    blocks = PortBlocks(LOW, LOW + 1, tmp_path / "a" / "b")
    blocks.claim()
    blocks.close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a" / "b").iterdir()] == [0o600]


def test_a_lock_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """In a shared folder for temporary files somebody else may have made the link."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(UsageError, match="not a folder of this user"):
        PortBlocks(LOW, LOW + 1, tmp_path / "link")


def test_the_lock_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the folder could keep us from all ports."""
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UsageError, match="not a folder of this user"):
        PortBlocks(LOW, LOW + 1, tmp_path)


def test_the_default_lock_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's runtime folder where there is one, else one named after the user."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_lock_folder().parent == tmp_path
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert default_lock_folder().name.endswith(f"-{os.getuid()}")
