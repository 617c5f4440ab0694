"""What each way of media takes at Asterisk: modules, since which version, ports, connections."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AUDIOSOCKET", "RTP", "SIP", "WEBSOCKET", "WEBSOCKET_SERVER", "MediaNeeds"]


@dataclass(frozen=True)
class MediaNeeds:
    """What the channels of one way of media need.

    Attributes
    ----------
    media
        What sentences call it.
    modules
        Modules that must run.
    since
        Versions of Asterisk that have them, in words.
    rtp_ports
        Whether each channel takes a pair of rtp.conf's ports.
    connections
        TCP connections of a channel: a file at Asterisk, and one at ours.
    has_handshakes
        Whether a connection begins at Asterisk's HTTP server, where it counts against ``sessionlimit`` until it is up.
    websocket_client
        Whether Asterisk must be told where to connect to, by a section of websocket_client.conf.
    """

    media: str
    modules: tuple[str, ...]
    since: str
    rtp_ports: bool = False
    connections: int = 1
    has_handshakes: bool = False
    websocket_client: bool = False

    @property
    def channels(self) -> str:
        """What sentences call its channels."""
        return "PJSIP channels" if self.media == "SIP" else f"ExternalMedia channels with {self.media}"


# "since": 16.6 brought externalMedia, 12 chan_pjsip.
RTP = MediaNeeds("RTP", ("chan_rtp", "res_rtp_asterisk"), "16.6", rtp_ports=True, connections=0)
SIP = MediaNeeds("SIP", ("chan_pjsip", "res_pjsip_session", "res_rtp_asterisk"), "12", rtp_ports=True, connections=0)
AUDIOSOCKET = MediaNeeds("AudioSocket", ("chan_audiosocket", "res_audiosocket"), "18")
_WEBSOCKET_MODULES = ("chan_websocket", "res_http_websocket", "res_websocket_client")
_WEBSOCKET_SINCE = "20.16 and 22.6"
WEBSOCKET = MediaNeeds("WebSocket", _WEBSOCKET_MODULES, _WEBSOCKET_SINCE, websocket_client=True)
WEBSOCKET_SERVER = MediaNeeds("WebSocket", _WEBSOCKET_MODULES, _WEBSOCKET_SINCE, has_handshakes=True)
