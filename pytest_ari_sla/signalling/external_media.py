"""Legs that ARI's ExternalMedia makes: an answered channel whose media comes to us, whatever the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.signalling.signalled import STEP_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.ari.media_offer import MediaOffer
    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.signalling.signalled import SignalledCall

__all__ = ["make_external_media"]


async def make_external_media(
    call: SignalledCall, offer: MediaOffer, asterisk_format: str, meet: Callable[[ExternalMedia], object]
) -> tuple[str, object]:
    """Create a channel whose media goes where the offer says; it is in Stasis when this returns.

    Parameters
    ----------
    call, offer, asterisk_format
        Whose leg it is, and what Asterisk is asked for.
    meet
        Takes Asterisk's answer, and returns where the leg's media goes; called before StasisStart is waited for, which
        does not come before a WebSocket's connection is there.

    Returns
    -------
    The channel's id, and what ``meet`` has returned.

    Raises
    ------
    AriRequestFailed
        Asterisk refused.
    ChannelLost, AriTimeout
        The channel ended, or did not enter the application.
    """
    channel_id = call.ari.new_id("channel", call.id)
    # Before the request: with 16 and more in flight StasisStart precedes the answer in 11-18 % of set-ups (22.10.1).
    watch = call.follow(channel_id)
    media = await call.ari.external_media(channel_id, offer.external_host, asterisk_format, **offer.options())
    port = media.local_address[1]
    call.note("request", "POST /channels/externalMedia", f"answered; Asterisk's port is {port}" if port else "answered")
    remote = meet(media)
    await watch.in_stasis(STEP_TIMEOUT_S)
    if watch.requested_ns is not None and watch.in_stasis_ns is not None:
        call.measure_setup(watch.in_stasis_ns - watch.requested_ns, watch.setup_lag_ns)
    return channel_id, remote
