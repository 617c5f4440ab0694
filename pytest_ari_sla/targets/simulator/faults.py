"""What goes wrong on request: the simulator's faults, and the dice that choose when."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields, replace
from random import Random
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["FAULTS_PATH", "Dice", "Faults"]

FAULTS_PATH = "/simulator/faults"


@dataclass(frozen=True)
class Faults:
    """Faults to be shown; all off by default. Ratios are from 0 to 1.

    Attributes
    ----------
    seed
        Start of the dice: the same seed shows the same faults in the same order of requests and events.
    slow_request_ratio, slow_request_s
        How many requests are answered late, and how late.
    failed_request_ratio, failed_request_status
        How many requests fail without being carried out, and with which status.
    lost_event_ratio, reordered_event_ratio
        How many events never arrive, or swap places with the next one.
    delayed_event_ratio, delayed_event_s
        How many events are late, and how late; those behind them wait, as on a real connection.
    websocket_close_after_s, websocket_hang_after_s
        When an event WebSocket is closed without notice, or stops sending; 0 for never.
    rtp_loss_ratio, rtp_duplicate_ratio, rtp_reorder_ratio
        How many packets do not come out, come out twice, or swap places with the next one of their stream.
    rtp_delay_s, rtp_jitter_s
        By how much packets are late: always, and at most in addition.
    rtp_service_s
        How long each packet keeps the one server that they all wait for, seeded, up to a tenth more or less: at 20 ms a
        packet it carries ``0.02 / rtp_service_s`` streams, and with more the delay grows, up to a second.
    stuck_channel_ratio
        How many channels answer 204 to DELETE and never end.
    max_media_channels
        How many channels get RTP ports; 0 for as many as there are ports.
    crash_after_s
        When the process dies; 0 for never.
    """

    seed: int = 0
    slow_request_ratio: float = 0.0
    slow_request_s: float = 1.0
    failed_request_ratio: float = 0.0
    failed_request_status: int = 500
    lost_event_ratio: float = 0.0
    reordered_event_ratio: float = 0.0
    delayed_event_ratio: float = 0.0
    delayed_event_s: float = 0.5
    websocket_close_after_s: float = 0.0
    websocket_hang_after_s: float = 0.0
    rtp_loss_ratio: float = 0.0
    rtp_duplicate_ratio: float = 0.0
    rtp_reorder_ratio: float = 0.0
    rtp_delay_s: float = 0.0
    rtp_jitter_s: float = 0.0
    rtp_service_s: float = 0.0
    stuck_channel_ratio: float = 0.0
    max_media_channels: int = 0
    crash_after_s: float = 0.0

    def with_values(self, values: Mapping[str, Any]) -> Faults:
        """Return these faults with some changed; values may be numbers or text.

        Raises
        ------
        UsageError
            If there is no such fault, or a value makes no sense for it.
        """
        kinds = {field.name: type(field.default) for field in fields(self)}
        changed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in kinds:
                raise UsageError(f"the simulator has no fault {name!r}; it has: {', '.join(kinds)}")
            changed[name] = _number(name, value, kinds[name])
        return replace(self, **changed)

    def describe(self) -> dict[str, float | int]:
        """Return all faults as plain values."""
        return asdict(self)


def _number(name: str, value: object, kind: type) -> float | int:
    try:
        # By way of text: int(0.5) would be 0 without a word.
        number: float | int = kind(str(value))
    except ValueError:
        raise UsageError(f"fault {name} takes a number, not {value!r}") from None
    most = 1 if name.endswith("_ratio") else sys.float_info.max
    # Asked this way round: every comparison with a NaN is false.
    if not 0 <= number <= most:
        raise UsageError(f"fault {name} cannot be {value}")
    return number


class Dice:
    """Says for each request, event and channel whether a fault hits it.

    Each kind of fault has dice of its own, so that faults do not depend on each other.

    Attributes
    ----------
    faults
        What is to be shown.
    """

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._dice: dict[str, Random] = {}

    def reseed(self) -> None:
        """Begin anew, with the seed that the faults have then."""
        self._dice.clear()

    def hits(self, fault: str) -> bool:
        """Roll for the fault whose ratio has this name."""
        ratio = float(getattr(self.faults, fault))
        if ratio <= 0.0:
            return False
        # A text seeds by its SHA-512, which is the same in every process, and not by its hash, which is not.
        dice = self._dice.setdefault(fault, Random(f"{self.faults.seed} {fault}"))
        return dice.random() < ratio
