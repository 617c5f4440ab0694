"""The media transport that comes with the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.rtp_media.faults import builtin_faults
from pytest_ari_sla.rtp_media.transport import RtpMedia

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.media.transport import MediaTransport

__all__ = ["pytest_ari_sla_register_peer_faults", "pytest_ari_sla_register_transports"]


@pytest.hookimpl
def pytest_ari_sla_register_transports() -> Sequence[MediaTransport]:
    """Return the built-in transport."""
    return [RtpMedia()]


@pytest.hookimpl
def pytest_ari_sla_register_peer_faults() -> Sequence[PeerFault]:
    """Return the built-in faults."""
    return builtin_faults()
