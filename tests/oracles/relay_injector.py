"""Sends to a relay what neither Asterisk nor its echo server should: from nobody, of nobody's source, and broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracles.injector import STRAY_SSRC, Injector, is_bound_below_us
from tests.oracles.rtp_wire import RTP, probe_of

if TYPE_CHECKING:
    from tests.oracles.rtp_wire import Probe

__all__ = ["RelayInjector"]

FOREIGN_AT, BROKEN_AT = 10, 12
"""Behind which of a call's packets, counted from 1."""


@dataclass
class RelayInjector(Injector):
    """Follows the calls that pass a relay.

    Parameters
    ----------
    echo_port
        The echo server's; the others are those of any injector.
    """

    echo_port: int = 0
    passed: Counter[int] = field(default_factory=Counter)
    came: dict[Probe, tuple[int, int]] = field(default_factory=dict)
    is_ours: dict[int, bool] = field(default_factory=dict)

    def not_sent(self) -> list[str]:
        """Say which calls were not sent all of it."""
        if not self.passed:
            return ["no call was seen at the relay"]
        return [f"leg {leg} passed {count} times" for leg, count in self.passed.items() if count < BROKEN_AT]

    def _see(self, source: int, target: int, data: bytes) -> None:
        probe = probe_of(data)
        if probe is None:
            return
        if self._is_theirs(source):
            self.came[probe] = source, target
        elif target == self.echo_port and (way := self.came.pop(probe, None)) and self._is_relay(source):
            self.passed[probe[1]] += 1
            self._intrude(self.passed[probe[1]], *way, source, data)

    def _is_relay(self, port: int) -> bool:
        if port not in self.is_ours:
            self.is_ours[port] = is_bound_below_us(port)
        return self.is_ours[port]

    def _intrude(self, count: int, asterisk: int, from_asterisk: int, to_echo: int, data: bytes) -> None:
        """Send what is to follow a call's packet: to where the relay hears Asterisk, and to where it hears the echo."""
        if count == FOREIGN_AT:
            self.send(self.stranger_port, from_asterisk, data)
            self.send(self.stranger_port, to_echo, data)
            self.send(self.echo_port, to_echo, RTP.pack(0x80, 0, 7_000, 7_000, STRAY_SSRC) + bytes(160))
        elif count == BROKEN_AT:
            self.send(asterisk, from_asterisk, b"\x80\x00\x01")
            self.send(self.echo_port, to_echo, b"\x00" + data[1:])
