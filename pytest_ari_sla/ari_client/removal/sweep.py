"""Removes what a session left at Asterisk, from outside of it: by the ids' prefix, with plain blocking requests.

For where no session can clean up any more: after a worker was killed, in a guard process, by hand. Nothing here needs
an event loop, or aiohttp: a guard has to be small.
"""

from __future__ import annotations

import http.client
import itertools
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from pytest_ari_sla.ari.leftovers import Leftover
from pytest_ari_sla.ari.lenient import decode_answer
from pytest_ari_sla.ari.websocket_client import WEBSOCKET_CLIENT, section_name
from pytest_ari_sla.ari_client.removal.ownership import TERMINATOR, Kind, session_prefix
from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from pytest_ari_sla.ari.endpoint import AriEndpoint

__all__ = ["FAILURES", "Sweeper", "Swept"]

FAILURES = (OSError, http.client.HTTPException, msgspec.DecodeError)
"""What asking raises: no (whole) answer came, or an error status (urllib's HTTPError), or one that is not ARI's."""

#: Asterisk's HTTP server has a listen backlog of 10.
_SIDE_BY_SIDE = 8

#: A channel that was told to end is listed for some more milliseconds, under load for half a second.
_PAUSE_S = 0.25

#: Looks that find nothing, one after the other: Asterisk may carry out a request after its sender's death.
_QUIET_LOOKS = 5

#: For as long as things are removed a sweep goes on, but not for ever: somebody else may use the same prefix.
_LONGEST_S = 60.0

#: Sessions of a dead process that are tried one after the other for sections of theirs: each load has one.
_SESSIONS_TRIED = 30

_SECTIONS = WEBSOCKET_CLIENT.removesuffix("/{id}")


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    Attributes
    ----------
    removed
        Ids of what was there, and was removed.
    left
        Ids of what is still there.
    problem
        Why the sweep ended early; empty if it did not.
    """

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    problem: str = ""


class Sweeper:
    """Lists and removes things at one ARI.

    Parameters
    ----------
    endpoint
        Where, and as whom.
    tls
        How its certificate is checked.
    timeout_s
        For each request.

    Attributes
    ----------
    asked
        The latest request for a list: method and path.
    """

    def __init__(self, endpoint: AriEndpoint, tls: ssl.SSLContext, timeout_s: float = 5.0) -> None:
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.asked = ""
        self._opener = urllib.request.build_opener(
            # No proxy from the environment, as with aiohttp.
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
        )

    def found(self, kinds: Iterable[Kind] = (Kind.CHANNEL, Kind.BRIDGE)) -> list[Leftover]:
        """Return everything that Asterisk lists, in the order of removal; or raise :data:`FAILURES`."""
        return [
            Leftover(kind.listing, name, _text(record, "protocol_id"))  # a PJSIP channel's is its Call-ID
            for kind in kinds
            for record in self._records(kind.listing)
            if (name := _text(record, kind.id_member))
        ]

    def applications(self) -> list[str]:
        """Return the names of the Stasis applications that are registered; or raise :data:`FAILURES`."""
        return [name for record in self._records("/applications") if (name := _text(record, "name"))]

    def remove(self, leftovers: Iterable[Leftover]) -> list[str]:
        """Remove things side by side; return the ids of those that were there and are gone."""
        found = list(leftovers)
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            gone = list(pool.map(self._remove, found))
        return [leftover.identity for leftover, is_gone in zip(found, gone, strict=True) if is_gone]

    def sweep(self, prefix: str) -> Swept:
        """Remove, once, every channel and bridge whose id begins with a prefix, or whose SIP Call-ID does.

        Raises
        ------
        UsageError
            The prefix is empty: all ids begin with that.
        """
        if not prefix:
            raise UsageError("a sweep without a prefix would remove the calls of everybody")
        try:
            ours = [leftover for leftover in self.found() if leftover.is_of(prefix)]
            removed = self.remove(ours)
            # What was removed may be listed a little longer; what could not be removed stays.
            there = {leftover.identity for leftover in self.found()} if len(removed) < len(ours) else set()
        except FAILURES as failure:
            return Swept(problem=f"the sweep at {self.endpoint.base_url} ended early: {failure}")
        left = [leftover.identity for leftover in ours if leftover.identity not in removed]
        return Swept(tuple(removed), tuple(identity for identity in left if identity in there))

    def until_clean(
        self,
        prefix: str,
        patience_s: float,
        now_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> Swept:
        """Sweep again and again, until nothing has come up for a second.

        Parameters
        ----------
        prefix
            Begins the ids.
        patience_s
            How long Asterisk may be out of reach, or refuse, before this gives up.
        now_s, pause
            Any clock that does not run backwards, and how to wait.
        """
        give_up_s = now_s() + patience_s
        latest_s = now_s() + _LONGEST_S
        removed: list[str] = []
        quiet = 0
        while True:
            swept = self.sweep(prefix)
            removed += [identity for identity in swept.removed if identity not in removed]
            quiet = 0 if swept != Swept() else quiet + 1
            if quiet == _QUIET_LOOKS:
                return Swept((*removed, *self._remove_sections(prefix)))
            if swept.removed:
                give_up_s = min(latest_s, now_s() + patience_s)
            if now_s() + _PAUSE_S > give_up_s:
                return Swept(tuple(removed), swept.left, swept.problem)
            pause(_PAUSE_S)

    def _remove_sections(self, prefix: str) -> list[str]:
        """Remove what is left of websocket_client.conf: Asterisk lists no sections, but their names can be told."""
        removed: list[str] = []
        number = last = 0
        while number < last + _SESSIONS_TRIED:
            number += 1
            ids = session_prefix(prefix, number) + TERMINATOR
            for section in itertools.count(1):
                name = section_name(ids, section)
                if not self._remove(Leftover(_SECTIONS, name)):
                    break
                removed.append(name)
                last = number
        return removed

    def _records(self, listing: str) -> list[dict[str, Any]]:
        self.asked = f"GET {listing}"
        try:
            answer = self._request("GET", listing)
        except urllib.error.HTTPError as refused:
            if refused.code in (404, 501) and listing == Kind.RECORDING.listing:
                return []  # an Asterisk without res_ari_recordings has none
            raise
        # One caller's name that is not UTF-8 must not keep all channels from being found.
        return decode_answer(answer, list[dict[str, Any]])

    def _remove(self, leftover: Leftover) -> bool:
        """Remove one thing; what is gone already counts as removed by somebody else."""
        try:
            self._request("DELETE", f"{leftover.listing}/{quote(leftover.identity, safe='')}")
        except FAILURES:
            return False
        return True

    def _request(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(self.endpoint.base_url + path, method=method)
        request.add_header("Authorization", self.endpoint.authorization)
        with self._opener.open(request, timeout=self.timeout_s) as response:
            body: bytes = response.read()
        return body


def _text(record: dict[str, Any], member: str) -> str:
    value = record.get(member)
    return value if isinstance(value, str) else ""
