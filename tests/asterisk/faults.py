"""What goes wrong between this tool and a real ARI, or at a real Asterisk; each is done by a proxy in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.asterisk.ari_proxy import CUT, TRUNCATE, Fault

if TYPE_CHECKING:
    from tests.asterisk.ari_proxy import AriProxy


class OneListingFails(Fault):
    """The first listing of channels at the end answers 500."""

    def __init__(self) -> None:
        self.deleted = self.failed = False

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse the first listing after a DELETE."""
        self.deleted |= method == "DELETE" and path.count("/") == 2 and self._made
        self._made = True
        if (method, path) == ("GET", "/channels") and self.deleted and not self.failed:
            self.failed = True
            return web.json_response({"message": "Internal"}, status=500)
        return None

    _made = False


class NoStasisStart(Fault):
    """StasisStart never comes."""

    def event(self, event: dict[str, Any]) -> int:
        """Drop it."""
        return int(event["type"] != "StasisStart")


class EventsTwice(Fault):
    """Each event comes twice."""

    def event(self, event: dict[str, Any]) -> int:
        """Double it."""
        return 2


class StreamCutInSetUp(Fault):
    """The event WebSocket is cut at the first StasisEnd, when calls go to the dialplan."""

    cut = False

    def event(self, event: dict[str, Any]) -> int:
        """Cut once."""
        if event["type"] == "StasisEnd" and "UnicastRTP" in event["channel"]["name"] and not self.cut:
            self.cut = True
            return -1
        return 1


class StreamCutForGood(Fault):
    """The event WebSocket is cut in mid-load, and cannot be opened again."""

    after_s = 1.5
    cut = False

    async def act(self, proxy: AriProxy) -> None:
        """Cut it."""
        self.cut = True
        await proxy.cut_events()

    def request(self, method: str, path: str) -> str | None:
        """Refuse to open it."""
        return CUT if self.cut and path == "/events" else None


class Redirected(Fault):
    """A proxy sends everybody to https."""

    def request(self, method: str, path: str) -> web.Response:
        """Send on."""
        return web.Response(status=308, headers={"Location": f"https://pbx.example/ari{path}"})


class AnswersCut(Fault):
    """The answers to externalMedia end in the middle."""

    def request(self, method: str, path: str) -> str | None:
        """Cut them."""
        return TRUNCATE if path == "/channels/externalMedia" else None


class OneGetCut(Fault):
    """A connection is cut in the middle of a request that may be repeated."""

    cut = False

    def request(self, method: str, path: str) -> str | None:
        """Cut once."""
        if (method, path) == ("GET", "/asterisk/info") and not self.cut:
            self.cut = True
            return CUT
        return None


class HungUpByOthers(Fault):
    """Somebody hangs all channels up in mid-call."""

    after_s = 1.5

    async def act(self, proxy: AriProxy) -> None:
        """Hang up."""
        for channel in proxy.created:
            await proxy.upstream("DELETE", f"/channels/{channel}")


class HungUpAndNotTold(HungUpByOthers):
    """Likewise, and no event tells of it."""

    def event(self, event: dict[str, Any]) -> int:
        """Drop the events of the end."""
        return int(event["type"] not in ("ChannelDestroyed", "ChannelHangupRequest"))


class Slow(Fault):
    """Every request is answered a second late, and every event a fifth."""

    async def pause(self, method: str, path: str) -> None:
        """Wait."""
        await asyncio.sleep(0.2 if path == "/events" else 1.0)


class Reordered(Fault):
    """Of every two events the second comes first."""

    held = ""

    def passed(self, text: str) -> list[str]:
        """Keep one back."""
        if not self.held:
            self.held = text
            return []
        first, self.held = self.held, ""
        return [text, first]


class RefusedInMidRun(Fault):
    """From the third call on, channels are refused."""

    asked = 0

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        self.asked += path == "/channels/externalMedia"
        if path == "/channels/externalMedia" and self.asked > 2:
            return web.json_response({"message": "Channel with given unique ID already exists"}, status=409)
        return None


class FailsInMidRun(RefusedInMidRun):
    """From the third call on, Asterisk says that it cannot."""

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        refused = super().request(method, path)
        return None if refused is None else web.json_response({"message": "Allocation failed"}, status=500)


class RefusedToAnybody(RefusedInMidRun):
    """Likewise, since the password has been changed."""

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        refused = super().request(method, path)
        return None if refused is None else web.json_response({"message": "Unauthorized"}, status=401)


class DeleteReplyCut(Fault):
    """A channel is hung up, and the reply that says so is cut."""

    cut = False

    def request(self, method: str, path: str) -> str | None:
        """Cut once."""
        if method == "DELETE" and path.startswith("/channels/") and not self.cut:
            self.cut = True
            return TRUNCATE
        return None


class ChannelsLocked(Fault):
    """For 2.6 s nothing answers that needs a channel; lists do."""

    after_s = 0.5
    locked = False

    async def act(self, proxy: AriProxy) -> None:
        """Lock, and unlock."""
        self.locked = True
        await asyncio.sleep(2.6)
        self.locked = False

    async def pause(self, method: str, path: str) -> None:
        """Hold what needs a channel."""
        while self.locked and (path.endswith("/variable") or method in ("POST", "DELETE")):
            await asyncio.sleep(0.05)


class HalfOpen(Fault):
    """From mid-load on nothing is answered, nothing is refused and nothing is cut; media goes on."""

    after_s = 1.0
    silent = False

    async def act(self, proxy: AriProxy) -> None:
        """Fall silent."""
        self.silent = True

    async def pause(self, method: str, path: str) -> None:
        """Hold everything."""
        while self.silent:
            await asyncio.sleep(0.1)


class NotFoundInMidRun(RefusedInMidRun):
    """From the third call on, a proxy finds nothing where calls are asked for."""

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        refused = super().request(method, path)
        return None if refused is None else web.Response(status=404, text="<html>404 page not found</html>")


class UnavailableInMidRun(RefusedInMidRun):
    """From the third call on, a proxy says that nobody is there."""

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        refused = super().request(method, path)
        return None if refused is None else web.Response(status=503, text="<html>no healthy upstream</html>")


class UnavailableForAWhile(Fault):
    """In mid-load everything is answered 503 for a second."""

    after_s = 1.0
    away = False

    async def act(self, proxy: AriProxy) -> None:
        """Go away, and come back."""
        self.away = True
        await asyncio.sleep(1.0)
        self.away = False

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        return web.Response(status=503, text="<html>no healthy upstream</html>") if self.away else None


class NothingIsDeleted(Fault):
    """No channel can be hung up; the run is told so each time."""

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        return web.json_response({"message": "Internal"}, status=500) if method == "DELETE" else None
