"""Each stream transport, with its process, against a peer that other libraries speak for."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import AriUnreachable, UsageError
from pytest_ari_sla.stream_media.transport import audiosocket, websocket
from tests.unit.stream_media.peers import OtherSide, caller_on, connect_to, establish, finish

if TYPE_CHECKING:
    from pytest_ari_sla.media.caller_worker import CallerWorker

TRANSPORTS = ["audiosocket", "websocket", "websocket-server"]
WITHIN_S = 60.0


async def until(caller: CallerWorker, name: str, least: int = 1) -> int:
    """Return a count of the snapshot, when it has come to something."""
    async with asyncio.timeout(WITHIN_S):
        while (count := _amount(caller, name)) < least:
            await asyncio.sleep(0.05)
    return count


def _amount(caller: CallerWorker, name: str) -> int:
    value = caller.snapshot().get(name, 0)
    return value if isinstance(value, int) else value.count


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_frame_is_sent_in_its_turn_and_measured_when_it_comes_back(transport: str) -> None:
    """Three legs, thirty frames each: probes tell which is which, whoever masks and whatever the order of bytes."""
    async with OtherSide(transport).serving() as far, caller_on(far, 3) as caller:
        legs = [await establish(far, caller) for _ in range(3)]
        for endpoint, remote in legs:
            caller.start_leg(endpoint, remote, 30)
        reports = await finish(caller, [endpoint for endpoint, _ in legs], 30)
    total = caller.snapshot()
    # On a busy machine a frame may be too late to be sent, which is told; all that was sent is there again.
    sent = sum(report.sent for report in reports)
    assert all(report.first_arrival_ns for report in reports)
    counts = {name: total.get(name, 0) for name in ("loss.sent", "loss.received", "loss.lost", "misrouted")}
    assert counts == {"loss.sent": sent, "loss.received": sent, "loss.lost": 0, "misrouted": 0}
    assert total.histogram("rtt").count == sent > 0
    assert total.count("harness.malformed_packets") == total.count("harness.foreign_packets") == 0


@pytest.mark.parametrize(("listens_at", "is_called"), [("127.0.0.1", "localhost"), ("::1", "[::1]")])
async def test_asterisks_websocket_is_found_by_name_and_by_either_kind_of_address(
    listens_at: str, is_called: str
) -> None:
    """Of a name's addresses, the one at which it answers; requests call it as its URL does."""
    if ":" in listens_at and not has_ipv6_loopback():
        pytest.skip("this machine's loopback has no IPv6")
    far = OtherSide("websocket-server", listens_at=listens_at, is_called=is_called)
    async with far.serving(), caller_on(far, 1) as caller:
        endpoint, remote = await establish(far, caller)
        caller.start_leg(endpoint, remote, 10)
        [report] = await finish(caller, [endpoint], 10)
    assert 0 < report.sent <= report.received
    assert far.asked_for == [far.base_url.split("/")[2]]


def has_ipv6_loopback() -> bool:
    """Whether sockets can be bound to ::1 here."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


async def test_an_asterisk_whose_name_has_no_address_is_told_before_the_first_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not by the end of the process that moves frames."""

    def find_none(host: str, *_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, f"no {host}")

    monkeypatch.setattr(socket, "getaddrinfo", find_none)  # a resolver takes as long as it likes
    far = OtherSide("websocket-server", base_url="http://pbx.invalid:8088/ari")  # RFC 6761, 6.4
    with pytest.raises(AriUnreachable, match=r"cannot connect to pbx\.invalid:8088 for a call's media: "):
        async with caller_on(far, 1):
            pass


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_legs_number_is_given_to_a_later_call_with_nothing_of_the_former(transport: str) -> None:
    """The earlier connection stays until Asterisk closes it."""
    async with OtherSide(transport).serving() as far, caller_on(far, 1) as caller:
        for frames_sent in (10, 20):
            endpoint, remote = await establish(far, caller)
            caller.start_leg(endpoint, remote, frames_sent)
            [report] = await finish(caller, [endpoint], frames_sent)
            assert 0 < report.sent <= min(report.received, frames_sent)  # and silence, behind the stream
    assert caller.snapshot().count("loss.lost") == 0


async def test_a_peer_that_does_not_read_delays_nobody_else_and_is_counted() -> None:
    """What its connection does not take is ours: the frames were not sent."""
    async with OtherSide("audiosocket").serving() as far, caller_on(far, 2) as caller:
        stuck = caller.take_call()[0]
        with connect_to(stuck.offer.external_host) as peer:
            peer.setsockopt(1, 8, 2048)  # SOL_SOCKET, SO_RCVBUF
            assert stuck.offer.data is not None
            peer.sendall(b"\x01\x00\x10" + bytes.fromhex(stuck.offer.data.replace("-", "")))
            caller.start_leg(stuck, "", 100_000)
            healthy, remote = await establish(far, caller)
            # Thousands of frames fit into the sender's buffer: it is made small by what the peer offers.
            caller.start_leg(healthy, remote, 50)
            [report] = await finish(caller, [healthy], 50)
            await caller.stop_leg(stuck)
            await caller.retire_legs([stuck])
    assert 0 < report.sent <= report.received


async def test_a_connection_that_nobody_expects_is_counted_and_closed() -> None:
    """Anybody may connect to an open port."""
    async with OtherSide("audiosocket").serving() as far, caller_on(far, 1) as caller:
        endpoint, _ = await establish(far, caller)
        with connect_to(endpoint.offer.external_host) as stranger:
            stranger.settimeout(WITHIN_S)
            stranger.sendall(b"\x01\x00\x10" + bytes(16))
            assert stranger.recv(100) == b"\x00\x00\x00"  # hang up
            assert stranger.recv(100) == b""
        assert await until(caller, "harness.foreign_packets") == 1


@pytest.mark.parametrize("garbage", [b"\x10\x00\x00", b"\x42\xff\xff" + bytes(400), b"\x10\x01\x40" + bytes(100)])
async def test_what_is_no_frame_harms_nobody(garbage: bytes) -> None:
    """Zero length, unknown type, and a truncated message."""
    async with OtherSide("audiosocket").serving() as far, caller_on(far, 2) as caller:
        broken = caller.take_call()[0]
        with connect_to(broken.offer.external_host) as peer:
            assert broken.offer.data is not None
            peer.sendall(b"\x01\x00\x10" + bytes.fromhex(broken.offer.data.replace("-", "")))
            caller.start_leg(broken, "", 100)
            healthy, remote = await establish(far, caller)
            caller.start_leg(healthy, remote, 20)
            peer.sendall(garbage)
            [report] = await finish(caller, [healthy], 20)
            await caller.stop_leg(broken)
        await caller.retire_legs([broken])
        assert await until(caller, "harness.malformed_packets") == 1
    assert 0 < report.sent <= report.received


@pytest.mark.parametrize("transport", ["websocket", "websocket-server"])
async def test_asterisks_queue_is_asked_for_once_a_second_and_told_as_time(transport: str) -> None:
    """100 frames of 20 ms are two seconds."""

    def answer(text: str) -> str:
        return "STATUS channel_id:c queue_length:100 xon_level:800 xoff_level:900" if text == "GET_STATUS" else ""

    async with OtherSide(transport, answer=answer).serving() as far, caller_on(far, 1) as caller:
        endpoint, remote = await establish(far, caller)
        caller.start_leg(endpoint, remote, 10_000)
        await until(caller, "target.queue_backlog")
        await caller.stop_leg(endpoint)
        await caller.retire_legs([endpoint])
    backlog = caller.snapshot().histogram("target.queue_backlog")
    assert backlog.percentile(50) == pytest.approx(2_000_000_000, rel=0.01)
    assert set(far.texts) == {"GET_STATUS"}


async def test_nothing_is_sent_while_asterisk_has_said_media_xoff() -> None:
    """Those frames are Asterisk's to explain, not the generator's."""
    said: list[str] = []

    def answer(text: str) -> str:
        said.append(text)
        return "MEDIA_XOFF" if len(said) == 1 else "MEDIA_XON" if len(said) == 2 else ""

    async with OtherSide("websocket", answer=answer).serving() as far, caller_on(far, 1) as caller:
        endpoint, remote = await establish(far, caller)
        caller.start_leg(endpoint, remote, 10_000)
        held = await until(caller, "target.held_frames")
        await until(caller, "loss.received", held)
        await caller.stop_leg(endpoint)
        await caller.retire_legs([endpoint])
    assert len(said) >= 2
    assert caller.snapshot().count("loss.lost") == 0


def test_audiosocket_refuses_what_it_would_mislabel() -> None:
    """Its types are all uncompressed audio."""
    from pytest_ari_sla.codecs.g711 import pcmu
    from pytest_ari_sla.codecs.l16 import l16_narrowband

    assert "leave codec out, or ask for L16" in audiosocket().refusal(pcmu())
    assert audiosocket().refusal(l16_narrowband()) == websocket().refusal(pcmu()) == ""


async def test_a_leg_cannot_play_what_its_codec_does_not_speak() -> None:
    """As with RTP."""
    async with OtherSide("websocket").serving() as far, caller_on(far, 1) as caller:
        endpoint, remote = await establish(far, caller)
        caller.start_leg(endpoint, remote, 10)
        caller.play(endpoint, 0)
        with pytest.raises((UsageError, IndexError)):
            caller.play(endpoint, 1)
