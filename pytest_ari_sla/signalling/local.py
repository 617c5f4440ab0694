"""Callers as an application knows them: a Local channel that rings at an extension, and is answered there.

Its second half runs the dialplan, and is what an application sees come in (state Ring); its first half is in our own
application, bridged with a leg of ours before it is dialled, so that early media is heard and no word is lost.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.messages import ChannelStateChange
from pytest_ari_sla.errors import CallNotAnswered
from pytest_ari_sla.signalling.signalled import STEP_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_ari_sla.ari_client.watch import ChannelWatch
    from pytest_ari_sla.signalling.signalled import SignalledCall

__all__ = ["dial_local", "make_local"]

ANSWER_TIMEOUT_S = 30.0


async def make_local(
    call: SignalledCall, extension: str, context: str, formats: str, caller_id: str, variables: Mapping[str, str]
) -> str:
    """Create the two halves, without dialling yet; return the first one's id.

    Raises
    ------
    AriRequestFailed
        Asterisk refused.
    ChannelLost, AriTimeout
        The first half did not enter our application.
    """
    near = call.ari.new_id("channel", call.id)
    watch = call.follow(near)
    # What the second half shows as its caller is whom the first one is connected to.
    shown = {"CONNECTEDLINE(all)": caller_id} if caller_id else {}
    await call.ari.create(
        near,
        f"Local/{extension}@{context}/n",  # /n: stay, or Asterisk would put our leg into the bridge of the application
        # Of our own as well: what is left behind is found by its id.
        other_channel_id=call.ari.new_id("channel", call.id),
        formats=formats,
        variables={**variables, **shown} or None,
    )
    await watch.in_stasis(STEP_TIMEOUT_S)
    return near


async def dial_local(call: SignalledCall, near: str) -> int:
    """Let it ring; return when it was answered, on the monotonic clock.

    Raises
    ------
    CallNotAnswered
        It ended instead, or rang in vain.
    """
    watch = call.ari.watch(near)
    await call.ari.dial(near)
    call.note("request", "POST /channels/dial", "ringing")
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await _answer(watch)
    except TimeoutError:
        raise CallNotAnswered(f"it rang for {ANSWER_TIMEOUT_S:g} s, and nobody answered") from None
    assert watch.dialled_ns is not None
    assert watch.up_ns is not None
    call.measure_setup(watch.up_ns - watch.dialled_ns, watch.setup_lag_ns)
    return watch.up_ns


async def _answer(watch: ChannelWatch) -> None:
    """Wait until a channel is up."""
    async for event in watch:
        if isinstance(event, ChannelStateChange) and event.channel.state == "Up":
            return
    cause = f": cause {watch.cause} {watch.cause_text}".rstrip() if watch.cause else ""
    raise CallNotAnswered(f"it was hung up before anybody answered{cause}")
