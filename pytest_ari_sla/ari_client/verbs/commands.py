"""What is done with channels and bridges that exist.

Where that needs a channel in the application, its StasisStart is waited for first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.ari.call_state import ChannelState
from pytest_ari_sla.ari_client.queries import BRIDGE, CHANNEL
from pytest_ari_sla.ari_client.removal.ownership import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_ari_sla.ari_client.removal.ownership import Ledger
    from pytest_ari_sla.ari_client.requests import AriClient, QueryValue
    from pytest_ari_sla.ari_client.watches import Watches

__all__ = ["AriCommands"]


class AriCommands:
    """The verbs of `AriSession` for what exists.

    Parameters
    ----------
    client
        Who sends requests.
    ledger
        Where what is gone is crossed out.
    watches
        Who knows of each channel whether it is in the application.
    """

    def __init__(self, client: AriClient, ledger: Ledger, watches: Watches) -> None:
        self._client = client
        self._ledger = ledger
        self._watches = watches

    async def _tell(
        self,
        method: str,
        verb: str,
        channel_id: str,
        query: Mapping[str, QueryValue] | None = None,
        on_sent: Callable[[int, int], None] | None = None,
    ) -> None:
        """Send a request that answers nothing about a channel, once it is in the application."""
        await self._watches.ensure_in_stasis(channel_id)
        path = {"channelId": channel_id}
        await self._client.request(method, f"{CHANNEL}/{verb}", path, query, on_sent=on_sent)

    async def dial(self, channel_id: str, *, caller: str | None = None, timeout_s: int | None = None) -> None:
        """Dial a channel from `create`; waits for its StasisStart, without which Asterisk answers 409."""
        query: dict[str, QueryValue] = {"caller": caller, "timeout": timeout_s}
        watch = self._watches.known(channel_id)
        await self._tell("POST", "dial", channel_id, query, on_sent=watch.dialled if watch else None)

    async def answer(self, channel_id: str) -> None:
        """Answer a channel."""
        await self._tell("POST", "answer", channel_id)

    async def ring(self, channel_id: str) -> None:
        """Indicate ringing to a channel."""
        await self._tell("POST", "ring", channel_id)

    async def stop_ringing(self, channel_id: str) -> None:
        """Stop indicating ringing."""
        await self._tell("DELETE", "ring", channel_id)

    async def hold(self, channel_id: str) -> None:
        """Put a channel on hold."""
        await self._tell("POST", "hold", channel_id)

    async def unhold(self, channel_id: str) -> None:
        """Take a channel off hold."""
        await self._tell("DELETE", "hold", channel_id)

    async def mute(self, channel_id: str, direction: str = "both") -> None:
        """Mute a channel: both, in or out."""
        await self._tell("POST", "mute", channel_id, {"direction": direction})

    async def unmute(self, channel_id: str, direction: str = "both") -> None:
        """Unmute a channel."""
        await self._tell("DELETE", "mute", channel_id, {"direction": direction})

    async def send_dtmf(
        self,
        channel_id: str,
        dtmf: str,
        *,
        before_ms: int | None = None,
        between_ms: int | None = None,
        duration_ms: int | None = None,
        after_ms: int | None = None,
    ) -> None:
        """Send DTMF digits (0-9, A-D, * and #) on a channel."""
        await self._tell(
            "POST",
            "dtmf",
            channel_id,
            {"dtmf": dtmf, "before": before_ms, "between": between_ms, "duration": duration_ms, "after": after_ms},
        )

    async def continue_in_dialplan(self, channel_id: str, context: str, extension: str, priority: int = 1) -> None:
        """Let a channel leave the application and go on in the dialplan."""
        await self._tell(
            "POST", "continue", channel_id, {"context": context, "extension": extension, "priority": priority}
        )

    async def set_variable(self, channel_id: str, variable: str, value: str) -> None:
        """Have a channel variable or function set; Asterisk answers before the channel has done it."""
        await self._tell("POST", "variable", channel_id, {"variable": variable, "value": value})

    async def hangup(self, channel_id: str, reason: str | None = None) -> bool:
        """Hang a channel up (``normal``, ``busy``, ``congestion`` …); return False if it was gone already.

        It is told to end when this returns; ``session.watch(channel_id).destroyed()`` waits until it has.
        """
        watch = self._watches.known(channel_id)
        if watch is not None:
            watch.hangup_requested = True  # first: the end can be told before the answer
        existed = await self._client.delete(CHANNEL, {"channelId": channel_id}, {"reason": reason})
        # What Asterisk is still about to make is not there yet, and not gone.
        is_gone = watch is None or not (watch.is_pending or watch.state is ChannelState.DESTROYED)
        if not existed and is_gone:
            self._watches.retire(channel_id)
        return existed

    # --- bridges ---

    async def add_to_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        """Put channels into a bridge, each after its own StasisStart."""
        for channel_id in channel_ids:
            await self._watches.ensure_in_stasis(channel_id)
        await self._client.request(
            "POST", BRIDGE + "/addChannel", {"bridgeId": bridge_id}, {"channel": ",".join(channel_ids)}
        )

    async def remove_from_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        """Take channels out of a bridge; they stay in the application."""
        await self._client.request(
            "POST", BRIDGE + "/removeChannel", {"bridgeId": bridge_id}, {"channel": ",".join(channel_ids)}
        )

    async def destroy_bridge(self, bridge_id: str) -> bool:
        """Remove a bridge; return False if it was gone already."""
        existed = await self._client.delete(BRIDGE, {"bridgeId": bridge_id})
        self._ledger.forget(Kind.BRIDGE, bridge_id)
        return existed
