"""What Asterisk says of one call by SIP, held against what was measured of it; of other calls it says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.watch.rtp_statistics import OwnFigures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.load.calls.call import LiveCall
    from pytest_ari_sla.media.measuring.measurer import LegReport
    from pytest_ari_sla.watch.rtp_questions import Answer

__all__ = ["TruthOfCall"]


class TruthOfCall:
    """Asked when the call has sent its last packet and is still up; compared when all is known that came.

    Parameters
    ----------
    call
        The call.
    packet_time_ns
        Of both of its streams.
    """

    def __init__(self, call: LiveCall, packet_time_ns: int) -> None:
        self._call = call
        self._packet_time_ns = packet_time_ns
        self._answer: Answer | None = None
        self._was_asked = False

    async def ask(self) -> None:
        """Ask Asterisk, once, where the call has one SIP dialog that is up."""
        questions, dialogs = self._call.tools.rtp_questions, self._call.sip_calls
        if questions is not None and len(dialogs) == 1 and not dialogs[0].end_reason and not self._was_asked:
            self._was_asked = True
            self._answer = await questions.ask(dialogs[0].held.call.call_id)

    def compare(self, reports: Sequence[LegReport], retired_ns: int) -> None:
        """Note in the call's time line where Asterisk says otherwise.

        Parameters
        ----------
        reports
            Of the call's legs.
        retired_ns
            Until when what came was counted, on the monotonic clock.
        """
        call, answer, questions = self._call, self._answer, self._call.tools.rtp_questions
        if answer is None or questions is None or call.media_began_ns is None or len(reports) != 1:
            return
        (report,) = reports
        if report.rtcp is None:
            return
        described_ns = call.sip_calls[0].held.call.described_ns or call.media_began_ns
        own = OwnFigures(
            due=report.due,
            sent=report.sent,
            received=report.received,
            packet_time_ns=self._packet_time_ns,
            unheard_ns=max(0, call.media_began_ns - described_ns),
            asking_ns=retired_ns - answer.asked_ns,
            record=report.rtcp,
        )
        # Our ids end with a point, so that none begins another one: Asterisk finds channels by prefix.
        for sentence in questions.compare(answer, own, call.id.rstrip(".")):
            call.note("rtp_statistics", "off", sentence)
