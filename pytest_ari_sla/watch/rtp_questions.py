"""Asks Asterisk for the ``rtp_statistics`` of calls by SIP as they end, and counts where they are off.

On a connection of its own, so that neither the load's requests nor their figures have a part in it: one request a call,
and a list of channels for all calls that have come up since the last one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.ari_client.queries import AriQueries
from pytest_ari_sla.ari_client.requests import AriClient
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.watch.rtp_statistics import differences, is_comparable

if TYPE_CHECKING:
    import ssl

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari.resources import RtpStatistics
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.watch.rtp_statistics import OwnFigures

__all__ = ["SESSIONS", "Answer", "RtpQuestions"]

SESSIONS = 2
"""So many of Asterisk's HTTP sessions it takes."""

_PATIENCE_S = 1.0
"""For so long a call's end waits for an answer."""

_VAIN = 3
"""After so many questions in vain, one after the other, none is asked any more: Asterisk has other troubles."""

_SHOWN = 3


@dataclass(frozen=True)
class Answer:
    """What Asterisk said, and when it was asked (monotonic)."""

    statistics: RtpStatistics
    asked_ns: int


class RtpQuestions:
    """An asynchronous context manager; for one load, on its event loop.

    Parameters
    ----------
    endpoint
        The target.
    tls
        How its certificate is checked.
    clock
        The time.

    Attributes
    ----------
    compared, off
        Calls whose figures could be held against ours, and those of them that are off.
    """

    def __init__(self, endpoint: AriEndpoint, tls: ssl.SSLContext | bool, clock: Clock = time) -> None:
        self._client = AriClient(endpoint, tls=tls, max_in_flight=SESSIONS, request_timeout_s=_PATIENCE_S, clock=clock)
        self._queries = AriQueries(self._client, "")
        self._clock = clock
        self._channels: dict[str, str] = {}
        self._listing: asyncio.Task[None] | None = None
        self._in_vain = 0
        self._told: list[str] = []
        self._figures: Counter[str] = Counter()
        self.compared = 0
        self.off = 0

    async def __aenter__(self) -> Self:
        await self._client.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listing is not None:
            self._listing.cancel()
        await self._client.close()

    async def ask(self, call_id: str) -> Answer | None:
        """Return what Asterisk says of the channel that a SIP call has there; None where it does not say.

        Parameters
        ----------
        call_id
            The call's Call-ID (RFC 3261), by which Asterisk lists its channel.
        """
        if self._in_vain >= _VAIN:
            return None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                channel_id = await self._channel_of(call_id)
                asked_ns = self._clock.monotonic_ns()
                answer = Answer(await self._queries.rtp_statistics(channel_id), asked_ns) if channel_id else None
        except TimeoutError:
            self._in_vain += 1
            return None
        except SlaError:
            return None  # it has ended by itself, and its figures with it
        self._in_vain = 0
        return answer

    async def _channel_of(self, call_id: str) -> str:
        for _ in range(2):  # a list that somebody else has asked for may be older than the call
            if call_id not in self._channels:
                if self._listing is None or self._listing.done():
                    self._listing = asyncio.create_task(self._list(), name="list channels")
                # Others wait for the same list: the time-out of one must not end it for all.
                await asyncio.shield(self._listing)
        return self._channels.pop(call_id, "")

    async def _list(self) -> None:
        self._channels = {one.protocol_id: one.id for one in await self._queries.channels() if one.protocol_id}

    def compare(self, answer: Answer, own: OwnFigures, call: str) -> list[str]:
        """Return what Asterisk says otherwise than we do, in sentences, and count it.

        Parameters
        ----------
        answer, own
            What it says, and what was measured.
        call
            What the call is called in reports.
        """
        if not is_comparable(answer.statistics, own):
            return []
        self.compared += 1
        found = differences(answer.statistics, own)
        self.off += bool(found)
        for sentence in found:
            self._figures[sentence[sentence.rindex("(") + 1 : -1]] += 1
            self._told.append(f"{call}: {sentence}")
        del self._told[_SHOWN:]
        return found

    def values(self) -> dict[str, Histogram | int]:
        """Return all values since the beginning, by metric name; of none compared, none."""
        if not self.compared:
            return {}
        return {"target.rtp_statistics_off": self.off, "target.rtp_statistics_compared": self.compared}

    def remarks(self) -> list[str]:
        """Return what a reader must know: which figures of Asterisk's are off, with examples."""
        if not self.off:
            return []
        which = ", ".join(f"{names} {counted(count, 'time')}" for names, count in self._figures.most_common())
        return [
            f"Asterisk's rtp_statistics are off in {self.off:,} of {self.compared:,} SIP calls ({which}); "
            + "; ".join(self._told)
        ]
