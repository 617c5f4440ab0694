"""What ARI's requests answer with: its resources as typed, immutable records.

Source: the Swagger description that ships with Asterisk (``rest-api/*.json``) and the answers of Asterisk 16.28 and
22.10. ARI writes JSON members in snake_case (only its query parameters are in camelCase), so no member is renamed.
Members that a version lacks have a neutral default; members that are unknown here are ignored.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

__all__ = [
    "Application",
    "AsteriskInfo",
    "AsteriskPing",
    "Bridge",
    "CallerId",
    "Channel",
    "ConfigInfo",
    "DialplanPosition",
    "Endpoint",
    "ExternalMedia",
    "LiveRecording",
    "Playback",
    "Record",
    "RtpStatistics",
    "StatusInfo",
    "StoredRecording",
    "SystemInfo",
    "Variable",
    "timestamp_ns",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Record(msgspec.Struct, frozen=True):
    """Base class of everything that ARI says: immutable, compared by value."""


class CallerId(Record, frozen=True):
    """Name and number of a party; free text from the network."""

    name: str = ""
    number: str = ""


class DialplanPosition(Record, frozen=True):
    """Where in the dialplan a channel is, and which application it executes there."""

    context: str = ""
    exten: str = ""
    priority: int = 0
    app_name: str = ""
    app_data: str = ""


class Channel(Record, frozen=True):
    """One channel.

    Attributes
    ----------
    state
        ``Down``, ``Ring``, ``Ringing``, ``Up``, ``Busy`` …
    channelvars
        Channel variables that Asterisk was told to show, and those that the answer to ``externalMedia`` adds.
    creationtime
        ISO 8601 with milliseconds; see `timestamp_ns`.
    """

    id: str
    name: str = ""
    state: str = ""
    protocol_id: str = ""
    caller: CallerId = CallerId()
    connected: CallerId = CallerId()
    accountcode: str = ""
    dialplan: DialplanPosition = DialplanPosition()
    creationtime: str = ""
    language: str = ""
    channelvars: dict[str, str] = {}  # msgspec gives each record a dict of its own

    def is_in_application(self, application: str) -> bool:
        """Whether the channel executes ``Stasis()`` for this application right now."""
        # app_data also holds the arguments: "application,argument,…".
        return self.dialplan.app_name == "Stasis" and self.dialplan.app_data.partition(",")[0] == application


class Bridge(Record, frozen=True):
    """One bridge; ``technology`` tells whether audio is passed through or mixed."""

    id: str
    technology: str = ""
    bridge_type: str = ""
    bridge_class: str = ""
    creator: str = ""
    name: str = ""
    channels: tuple[str, ...] = ()
    creationtime: str = ""


class Playback(Record, frozen=True):
    """One playback of media to a channel or bridge; ``target_uri`` is ``channel:<id>`` or ``bridge:<id>``."""

    id: str
    media_uri: str = ""
    target_uri: str = ""
    language: str = ""
    state: str = ""


class LiveRecording(Record, frozen=True):
    """A recording that is being made; durations are in seconds."""

    name: str
    format: str = ""
    target_uri: str = ""
    state: str = ""
    duration: int | None = None
    talking_duration: int | None = None
    silence_duration: int | None = None
    cause: str = ""


class StoredRecording(Record, frozen=True):
    """A recording that is kept as a file at Asterisk."""

    name: str
    format: str = ""


class Endpoint(Record, frozen=True):
    """One endpoint of a channel technology."""

    technology: str
    resource: str
    state: str = ""
    channel_ids: tuple[str, ...] = ()


class Application(Record, frozen=True):
    """A Stasis application as Asterisk knows it."""

    name: str
    channel_ids: tuple[str, ...] = ()
    bridge_ids: tuple[str, ...] = ()
    endpoint_ids: tuple[str, ...] = ()
    device_names: tuple[str, ...] = ()


class SystemInfo(Record, frozen=True):
    """Version of Asterisk and id of the machine."""

    version: str = ""
    entity_id: str = ""


class ConfigInfo(Record, frozen=True):
    """Limits from ``asterisk.conf``; None where there is none."""

    name: str = ""
    default_language: str = ""
    max_channels: int | None = None
    max_open_files: int | None = None
    max_load: float | None = None


class StatusInfo(Record, frozen=True):
    """When Asterisk started and read its configuration, ISO 8601."""

    startup_time: str = ""
    last_reload_time: str = ""


class AsteriskInfo(Record, frozen=True):
    """Answer to ``GET /asterisk/info``."""

    system: SystemInfo = SystemInfo()
    config: ConfigInfo = ConfigInfo()
    status: StatusInfo = StatusInfo()

    @property
    def version(self) -> str:
        """Version of Asterisk, ``22.10.1`` or with a distribution's additions."""
        return self.system.version


class AsteriskPing(Record, frozen=True):
    """Answer to ``GET /asterisk/ping``."""

    ping: str
    timestamp: str = ""
    asterisk_id: str = ""


class Variable(Record, frozen=True):
    """Answer to ``GET /channels/{id}/variable``."""

    value: str


class RtpStatistics(Record, frozen=True):
    """Answer to ``GET /channels/{id}/rtp_statistics``: what Asterisk says of a channel's RTP (res_rtp_asterisk.c).

    Attributes
    ----------
    txcount, rxcount
        Packets that it has sent and received; the latter count anew when the SSRC changes.
    txploss
        Packets of its own that are lost, as the last RTCP report from the other side says.
    rxploss
        Packets that did not reach it, by their sequence numbers; counted when it sends a report of its own.
    rxjitter
        Jitter of its packets, as the other side reports, in s. That of what it receives is ``txjitter``: the names tell
        who receives from the other side's view.
    local_ssrc, remote_ssrc
        Of what it sends, and of what it receives.
    rtt
        Round trip in s, by the other side's reports; 0 without one.
    """

    txcount: int
    rxcount: int
    txploss: int = 0
    rxploss: int = 0
    rxjitter: float = 0.0
    txjitter: float = 0.0
    local_ssrc: int = 0
    remote_ssrc: int = 0
    rtt: float = 0.0


class ExternalMedia(Record, frozen=True):
    """A channel that exchanges RTP with a host outside Asterisk.

    Attributes
    ----------
    channel
        The channel as it was when Asterisk answered; it need not have entered the application yet.
    local_address
        Host and port at Asterisk that take our RTP, and that its RTP comes from; empty and 0 where it is not RTP.
    """

    channel: Channel
    local_address: tuple[str, int]

    @property
    def id(self) -> str:
        """Id of the channel."""
        return self.channel.id


def timestamp_ns(text: str) -> int | None:
    """Return ARI's ``2026-11-22T13:57:05.760+0000`` as ns since the Unix epoch.

    None for what is no time, or one without a zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        # In whole numbers: a float of seconds since 1970 is good to 0.2 µs only.
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, TypeError):  # no time at all; a time without a zone
        return None
