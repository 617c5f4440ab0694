"""How soon a call hears something: from when Asterisk could have sent a packet until the first one came."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.media.call_media import CallMedia
    from pytest_ari_sla.media.measuring.measurer import LegReport

__all__ = ["first_packet_delay_ns"]


def first_packet_delay_ns(
    media: CallMedia, heard_leg: Sequence[int], reports: Mapping[int, LegReport], up_at_ns: int
) -> int | None:
    """Return how long the call's slowest leg waited for its first packet; None where a leg never heard one.

    A leg can hear a packet from when the first one left that it is to hear. What came before that (a mixing bridge
    sends silence of its own) counts from when the call was up.

    Parameters
    ----------
    media
        Who hears whom.
    heard_leg
        As the topology has it: where legs hear probes, the others may be silent on purpose (on hold, muted).
    reports
        What is known of each leg, by its place in the call.
    up_at_ns
        When the call's media path was complete, ns since the Unix epoch.
    """
    must_hear = [place for place in reports if heard_leg[place] >= 0] or list(reports)
    if not must_hear or not all(reports[place].first_arrival_ns for place in must_hear):
        return None
    return max(_delay_ns(media, place, reports, up_at_ns) for place in reports if reports[place].first_arrival_ns)


def _delay_ns(media: CallMedia, place: int, reports: Mapping[int, LegReport], up_at_ns: int) -> int:
    arrival_ns = reports[place].first_arrival_ns
    sent_ns = min((reports[leg].first_due_ns for leg in media.sources(place) if leg in reports), default=up_at_ns)
    return max(0, arrival_ns - (sent_ns if sent_ns <= arrival_ns else up_at_ns))
