"""Who hears what arrives while a load runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["FrameListener"]


class FrameListener(Protocol):
    """Called by the measuring thread, on whole batches."""

    def observe(self, batch: PacketBatch) -> None:
        """Take in a batch; packets of one leg come in order of arrival."""

    def advance(self, now_ns: int) -> None:
        """Let time pass; all that arrived before ``now_ns`` has been observed."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget these legs: their numbers belong to other calls from now on."""
