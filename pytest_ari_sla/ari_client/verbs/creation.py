"""What makes something at Asterisk: written down and watched before the request for it goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.ari.resources import Bridge, Channel, LiveRecording, Playback
from pytest_ari_sla.ari_client.queries import CHANNEL
from pytest_ari_sla.ari_client.removal.ownership import Kind
from pytest_ari_sla.errors import AriAuthenticationFailed, AriRequestFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.ari_client.event_stream.events import EventStream
    from pytest_ari_sla.ari_client.removal.ownership import Ledger
    from pytest_ari_sla.ari_client.requests import AriClient, QueryValue
    from pytest_ari_sla.ari_client.watches import Watches

__all__ = ["AriCreation"]

#: Answers that say: this was not carried out.
_REFUSALS = (AriRequestFailed, AriAuthenticationFailed)


class AriCreation:
    """The verbs of `AriSession` that make something.

    Parameters
    ----------
    client
        Who sends requests.
    app
        Name of our Stasis application.
    stream
        The events: nothing is made while they are not heard.
    ledger
        Where what is made is written down.
    watches
        Who hears of each channel.
    """

    def __init__(self, client: AriClient, app: str, stream: EventStream, ledger: Ledger, watches: Watches) -> None:
        self._client = client
        self.app = app
        self._stream = stream
        self._ledger = ledger
        self._watches = watches

    async def originate(
        self,
        channel_id: str,
        endpoint: str,
        *,
        context: str | None = None,
        extension: str | None = None,
        priority: int | None = None,
        app_args: str | None = None,
        caller_id: str | None = None,
        timeout_s: int | None = None,
        other_channel_id: str | None = None,
        originator: str | None = None,
        formats: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Channel:
        """Create a channel and dial it; it enters our application, or the dialplan where an extension is given."""
        query: dict[str, QueryValue] = {
            "app": self.app if extension is None else None,
            "context": context,
            "extension": extension,
            "priority": priority,
            "callerId": caller_id,
            "timeout": timeout_s,
        }
        query |= _dialled(channel_id, endpoint, app_args, other_channel_id, originator, formats)
        return await self.create_channel("/channels", channel_id, query, variables)

    async def create(
        self,
        channel_id: str,
        endpoint: str,
        *,
        app_args: str | None = None,
        other_channel_id: str | None = None,
        originator: str | None = None,
        formats: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Channel:
        """Create a channel that enters our application before it is dialled; see `dial`."""
        query = {"app": self.app, **_dialled(channel_id, endpoint, app_args, other_channel_id, originator, formats)}
        return await self.create_channel("/channels/create", channel_id, query, variables)

    async def snoop(
        self, channel_id: str, snoop_id: str, *, spy: str = "both", whisper: str = "none", app_args: str | None = None
    ) -> Channel:
        """Create a channel that listens (``spy``) or talks (``whisper``) to another: in, out, both or none.

        The other channel may have gone on to the dialplan. A snoop channel that was hung up gets no ChannelDestroyed
        and stays in Asterisk's list until the other channel ends, if that one receives no media.
        """
        watch = self._watches.known(channel_id)
        if watch is not None and watch.in_stasis_ns is None:
            await watch.in_stasis()
        query: dict[str, QueryValue] = {"app": self.app, "spy": spy, "whisper": whisper, "appArgs": app_args}
        return await self.create_channel(
            CHANNEL + "/snoop/{snoopId}", snoop_id, query, path={"channelId": channel_id, "snoopId": snoop_id}
        )

    async def create_channel(
        self,
        route: str,
        channel_id: str,
        query: Mapping[str, QueryValue],
        variables: Mapping[str, str] | None = None,
        path: Mapping[str, str] | None = None,
    ) -> Channel:
        """Have a channel made: watched and written down before the request goes out."""
        await self._stream.wait_open()
        watch = self._watches.over(channel_id)
        self._ledger.add(Kind.CHANNEL, channel_id)
        body = None if variables is None else {"variables": dict(variables)}
        watch.is_pending = True
        try:
            channel = await self._client.fetch(
                Channel, "POST", route, path=path, query=query, body=body, on_sent=watch.requested
            )
        except _REFUSALS:
            self._watches.retire(channel_id)
            raise
        finally:
            watch.is_pending = False
        watch.answered()
        return channel

    async def play(self, channel_id: str, playback_id: str, media: str | Sequence[str]) -> Playback:
        """Play media (``sound:…``, ``tone:…``, ``digits:…``, ``recording:…``) to a channel."""
        await self._watches.ensure_in_stasis(channel_id)
        return await self._client.fetch(
            Playback,
            "POST",
            CHANNEL + "/play/{playbackId}",
            path={"channelId": channel_id, "playbackId": playback_id},
            query={"media": media if isinstance(media, str) else ",".join(media)},
        )

    async def record(
        self,
        channel_id: str,
        name: str,
        format: str = "wav",
        *,
        max_duration_s: int | None = None,
        max_silence_s: int | None = None,
        if_exists: str | None = None,
        beep: bool | None = None,
        terminate_on: str | None = None,
    ) -> LiveRecording:
        """Record a channel into a file at Asterisk; the file is removed with everything else at the session's end."""
        await self._watches.ensure_in_stasis(channel_id)
        self._ledger.add(Kind.RECORDING, name)
        return await self._client.fetch(
            LiveRecording,
            "POST",
            CHANNEL + "/record",
            path={"channelId": channel_id},
            query={
                "name": name,
                "format": format,
                "maxDurationSeconds": max_duration_s,
                "maxSilenceSeconds": max_silence_s,
                "ifExists": if_exists,
                "beep": beep,
                "terminateOn": terminate_on,
            },
        )

    async def create_bridge(self, bridge_id: str, type: str = "mixing") -> Bridge:
        """Create a bridge: ``mixing``, ``holding``, or with further attributes (``mixing,dtmf_events``)."""
        await self._stream.wait_open()
        self._ledger.add(Kind.BRIDGE, bridge_id)
        return await self._client.fetch(Bridge, "POST", "/bridges", query={"bridgeId": bridge_id, "type": type})


def _dialled(
    channel_id: str,
    endpoint: str,
    app_args: str | None,
    other_channel_id: str | None,
    originator: str | None,
    formats: str | None,
) -> dict[str, QueryValue]:
    """Return what `originate` and `create` both say of the channel that they dial."""
    return {
        "channelId": channel_id,
        "endpoint": endpoint,
        "appArgs": app_args,
        "otherChannelId": other_channel_id,
        "originator": originator,
        "formats": formats,
    }
