"""What Asterisk's own ``rtp_statistics`` say of a call, against what was measured at its other end.

They count sent and received packets at once, lost ones only when an RTCP report goes out or comes in. So each figure is
held against ours as it was when it last moved, as far as the reports tell when that was; what they leave open is not
judged. Never judged are ``txjitter``, which nobody but Asterisk can measure, and the scores (``txmes``, ``rxmes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.ari.resources import RtpStatistics
    from pytest_ari_sla.rtp.rtcp_record import RtcpRecord, ToldReport

__all__ = ["OwnFigures", "differences", "is_comparable"]

_SLACK = 3
"""Packets that may be on their way, late, or doubled by the network."""

_SLACK_SHARE = 0.01
_JITTER_S = 1e-3
"""A smaller difference between two jitters is nobody's trouble."""

# Sequence numbers of RTP (RFC 3550, 5.1).
_CYCLE = 1 << 16


@dataclass(frozen=True)
class OwnFigures:
    """What was measured at the other end of a call.

    Attributes
    ----------
    due, sent
        Packets that our schedule called for, and those that left.
    received
        Packets that came.
    packet_time_ns
        Of both streams.
    unheard_ns
        For how long Asterisk may have sent before we took what came as this call's.
    asking_ns
        How long after the question the last packet may have come that we have counted.
    record
        What both sides told each other by RTCP.
    """

    due: int
    sent: int
    received: int
    packet_time_ns: int
    unheard_ns: int
    asking_ns: int
    record: RtcpRecord

    def packets_in(self, duration_ns: int) -> int:
        """Return how many packets a stream has in a time, at most."""
        return -(-duration_ns // self.packet_time_ns)


def is_comparable(theirs: RtpStatistics, own: OwnFigures) -> bool:
    """Tell whether both are of the same streams: Asterisk's names the one that it receives by its SSRC."""
    return own.sent > 0 and theirs.remote_ssrc == own.record.own_ssrc


def differences(theirs: RtpStatistics, own: OwnFigures) -> list[str]:
    """Return in sentences what Asterisk says otherwise than we do; both are of the same streams."""
    return [*_of_ours(theirs, own), *_of_theirs(theirs, own), *_of_reports(theirs, own)]


def _of_ours(theirs: RtpStatistics, own: OwnFigures) -> Iterator[str]:
    """Yield what is wrong with rxcount and rxploss."""
    before = own.record.sent_before
    withheld = own.due - own.sent
    due, sent = own.due - before, own.sent - before
    slack = _slack(due)
    if theirs.rxcount > sent + slack:
        yield f"it says that it received {theirs.rxcount:,} packets of ours, of {sent:,} that we sent (rxcount)"
        return
    open_ = due - theirs.rxcount - theirs.rxploss
    if open_ < -slack:
        yield (
            f"it says that {theirs.rxploss:,} packets of ours were lost and that it received {theirs.rxcount:,}, of "
            f"{due:,} that there were (rxploss, rxcount)"
        )
    heard = own.record.heard
    # What we sent after the last packet that its report covers may be lost without its knowing.
    if heard is not None and open_ > slack + _sent_after(heard.extended_highest, due, own.record):
        why = f"{withheld:,} never left us, and it says" if withheld > slack else "it says"
        yield (
            f"of {due:,} packets of ours {why} that it received {theirs.rxcount:,} and lost {theirs.rxploss:,}: its "
            f"figures lack {open_:,} (rxcount, rxploss)"
        )


def _sent_after(highest: int, due: int, record: RtcpRecord) -> int:
    """Return how many of our packets were due after the highest one that a report covers."""
    after = (record.first_sequence + due - 1 - highest) % _CYCLE
    # A report may be newer than our count: that shows as nearly a whole cycle.
    return after if after < _CYCLE // 2 else 0


def _of_theirs(theirs: RtpStatistics, own: OwnFigures) -> Iterator[str]:
    """Yield what is wrong with txcount."""
    missing, slack = own.record.missing, _slack(own.received)
    if theirs.txcount > own.received + missing + own.packets_in(own.unheard_ns) + slack:
        yield (
            f"it says that it sent {theirs.txcount:,} packets and that {theirs.txploss:,} of them were lost; "
            f"{own.received:,} came, and by their sequence numbers {missing:,} are missing (txcount, txploss)"
        )
    if theirs.txcount < own.received - own.packets_in(own.asking_ns) - slack:
        yield f"it says that it sent {theirs.txcount:,} packets, and {own.received:,} of them came (txcount)"


def _of_reports(theirs: RtpStatistics, own: OwnFigures) -> Iterator[str]:
    """Yield what is wrong with what it has from our RTCP: txploss, rxjitter and rtt."""
    told, is_sure = _reports_it_may_have(own.record)
    blocks = [one.block for one in told if one.block is not None]
    if not blocks:
        return
    # Not sure: none of ours may have reached it, and then it says 0.
    lost = {block.lost for block in blocks} | (set() if is_sure else {0})
    if theirs.txploss not in lost:
        yield (
            f"it says that we lost {theirs.txploss:,} packets of its own; our RTCP reports said "
            f"{blocks[-1].lost:,} (txploss)"
        )
    jitters_s = [block.jitter / own.record.clock_rate_hz for block in blocks] + ([] if is_sure else [0.0])
    if min(abs(theirs.rxjitter - jitter_s) for jitter_s in jitters_s) > _JITTER_S:
        yield (
            f"it says that the jitter of its packets was {theirs.rxjitter * 1e3:.3g} ms at our end; our RTCP reports "
            f"said {jitters_s[-1] * 1e3 if is_sure else jitters_s[-2] * 1e3:.3g} ms (rxjitter)"
        )
    lasted_s = own.due * own.packet_time_ns / 1e9
    if theirs.rtt > lasted_s + 1:
        yield f"it says that a round trip took {theirs.rtt:,.0f} s, in a call of {lasted_s:.0f} s (rtt)"


def _reports_it_may_have(record: RtcpRecord) -> tuple[tuple[ToldReport, ...], bool]:
    """Return our reports from the last one that it has confirmed on, and whether there is such a one.

    Its own report names the last one of ours that it had then (LSR); later ones may have come since, or be lost.
    """
    for place in reversed(range(len(record.told))):
        if record.heard is not None and record.heard.last_sr == record.told[place].name:
            return record.told[place:], True
    return record.told, False


def _slack(packets: int) -> int:
    return _SLACK + int(packets * _SLACK_SHARE)
