"""RTP through a target: Echo(), bridges of two and of three, silence, codecs, DTMF."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.contract.rtp_endpoint import PACKET_S, SAMPLES, Packet, RtpEndpoint, pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.contract.raw_ari import EventLog, RawAri

    NewId = Callable[[str], str]
    NewRtp = Callable[[], RtpEndpoint]

_SILENCE = b"\xff" * SAMPLES  # G.711 mu-law of zero


def patterns(numbers: Iterable[int]) -> list[bytes]:
    """Return the payloads with these numbers."""
    return [pattern(number) for number in numbers]


def payloads(packets: list[Packet]) -> list[bytes]:
    """Return what packets carry."""
    return [packet.payload for packet in packets]


def sequence_steps(packets: list[Packet]) -> list[int]:
    """Return how far each sequence number is from the one before (modulo 2^16)."""
    return [(after.sequence - before.sequence) & 0xFFFF for before, after in pairwise(packets)]


def timestamp_steps(packets: list[Packet]) -> list[int]:
    """Return how far each time stamp is from the one before (modulo 2^32)."""
    return [(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in pairwise(packets)]


async def in_echo(ari: RawAri, log: EventLog, new_id: NewId, leg: RtpEndpoint) -> str:
    """Put a leg into Echo() and return its channel."""
    channel = new_id("echo")
    await leg.call(ari, channel, log)
    await ari.post(f"/channels/{channel}/continue", context="default", extension="echo", priority=1)
    await log.wait_for("ChannelDialplan", channel, count=2)
    await asyncio.sleep(PACKET_S)
    return channel


async def bridged(ari: RawAri, log: EventLog, new_id: NewId, legs: list[RtpEndpoint], codecs: str = "ulaw") -> str:
    """Put legs into one mixing bridge (codecs: one for all, or one each with commas) and return its id."""
    bridge, names = new_id("bridge"), codecs.split(",") * len(legs)
    await ari.post("/bridges", bridgeId=bridge)
    for leg, codec in zip(legs, names, strict=False):
        channel = new_id("leg")
        await leg.call(ari, channel, log, codec)
        await ari.post(f"/bridges/{bridge}/addChannel", channel=channel)
        await log.wait_for("ChannelEnteredBridge", channel)
    await log.settle()
    for leg in legs:
        await leg.collect(0)
    return bridge


async def test_a_channel_in_stasis_is_silent(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """Without a bridge and outside Echo() nothing comes back."""
    log, leg = await raw_ari.listen(), new_rtp()
    await leg.call(raw_ari, new_id("leg"), log)
    await leg.stream(range(10))
    assert await leg.collect() == []


async def test_echo_returns_every_payload_untouched(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """Echo() sends each payload back byte for byte, in one new stream: other SSRC, sequence numbers one by one."""
    log, leg = await raw_ari.listen(), new_rtp()
    await in_echo(raw_ari, log, new_id, leg)
    await leg.stream(range(20), sequence=500, timestamp=48_000)
    packets = await leg.collect()
    assert payloads(packets) == patterns(range(20))
    assert {packet.payload_type for packet in packets} == {0}
    assert len({packet.ssrc for packet in packets} - {0x1111}) == 1
    assert set(sequence_steps(packets)) == {1}
    assert packets[0].sequence != 500
    assert [packet.timestamp for packet in packets] == [48_000 + number * SAMPLES for number in range(20)]


async def test_a_pair_gets_each_others_payload_untouched(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """In a bridge of two each hears the other, byte for byte, and not itself."""
    log, left, right = await raw_ari.listen(), new_rtp(), new_rtp()
    await bridged(raw_ari, log, new_id, [left, right])
    await asyncio.gather(left.stream(range(20)), right.stream(range(100, 120), ssrc=0x2222))
    from_right, from_left = await left.collect(), await right.collect()
    assert payloads(from_left) == patterns(range(20))
    assert payloads(from_right) == patterns(range(100, 120))
    assert set(sequence_steps(from_left)) == set(sequence_steps(from_right)) == {1}
    assert len({packet.ssrc for packet in from_left + from_right} - {0x1111, 0x2222}) == 2


async def test_time_stamps_pass_in_whole_milliseconds(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """Asterisk keeps time stamps in milliseconds: they come out rounded down to eight ticks."""
    log, leg = await raw_ari.listen(), new_rtp()
    await in_echo(raw_ari, log, new_id, leg)
    await leg.stream(range(5), timestamp=99_999)
    assert [packet.timestamp for packet in await leg.collect()] == [99_992 + number * SAMPLES for number in range(5)]


async def test_gaps_duplicates_and_disorder_are_passed_on(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """What the network did to a stream shows in the sequence numbers on the other side; nothing is repaired."""
    log, left, right = await raw_ari.listen(), new_rtp(), new_rtp()
    await bridged(raw_ari, log, new_id, [left, right])
    order = [0, 1, 2, 5, 6, 6, 7, 9, 8, 10]
    await left.stream(order, sequence=65_530, timestamp=8_000)
    packets = await right.collect()
    assert payloads(packets) == patterns(order)
    assert sequence_steps(packets) == [1, 1, 3, 1, 0, 1, 2, 0xFFFF, 2]
    assert [packet.timestamp for packet in packets] == [8_000 + number * SAMPLES for number in order]


async def test_a_new_source_does_not_break_the_stream(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """A sender that starts again, with another SSRC and far away numbers, goes on in the same stream outside."""
    log, left, right = await raw_ari.listen(), new_rtp(), new_rtp()
    await bridged(raw_ari, log, new_id, [left, right])
    await left.stream(range(5), sequence=100)
    await left.stream(range(5), sequence=30_000, timestamp=80_000, ssrc=0x3333)
    packets = await right.collect()
    assert len({packet.ssrc for packet in packets}) == 1
    assert sequence_steps(packets) == [1] * 9
    assert timestamp_steps(packets)[5:] == [SAMPLES] * 4
    assert packets[5].timestamp == 80_000


async def test_silence_on_one_side_is_silence_on_the_other(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """A bridge of two fills no gaps: while nobody sends, nobody receives; the marker bit is not set after it."""
    log, left, right = await raw_ari.listen(), new_rtp(), new_rtp()
    await bridged(raw_ari, log, new_id, [left, right])
    await left.stream(range(5))
    assert len(await right.collect()) == 5
    await asyncio.sleep(0.3)
    assert await right.collect(0) == []
    await left.stream(range(25, 30), sequence=-20)
    packets = await right.collect()
    assert payloads(packets) == patterns(range(25, 30))
    assert not any(packet.marker for packet in packets)


async def test_echo_marks_the_end_of_silence(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """After a pause Echo() sets the marker bit on the first packet."""
    log, leg = await raw_ari.listen(), new_rtp()
    await in_echo(raw_ari, log, new_id, leg)
    await leg.stream(range(5))
    await leg.collect()
    await asyncio.sleep(0.3)
    await leg.stream(range(5, 10))
    assert [packet.marker for packet in await leg.collect()] == [True, False, False, False, False]


async def test_packets_of_other_lengths_pass(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """Packets of 10 and 40 ms come out as they went in."""
    log, leg = await raw_ari.listen(), new_rtp()
    await in_echo(raw_ari, log, new_id, leg)
    timestamp = 0
    for number, size in enumerate((80, 80, 320, 320)):
        leg.send(number, timestamp, pattern(number, size))
        timestamp += size
        await asyncio.sleep(PACKET_S)
    packets = await leg.collect()
    assert payloads(packets) == [pattern(number, size) for number, size in enumerate((80, 80, 320, 320))]
    assert timestamp_steps(packets) == [80, 80, 320]


async def test_unknown_payload_types_are_dropped(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """A dynamic payload type that was never agreed on, and comfort noise, go nowhere; the stream goes on."""
    log, leg = await raw_ari.listen(), new_rtp()
    await in_echo(raw_ari, log, new_id, leg)
    await leg.stream(range(3), payload_type=96)
    leg.send(3, 3 * SAMPLES, b"\x40", payload_type=13)
    await leg.stream(range(4, 7))
    assert payloads(await leg.collect()) == patterns(range(4, 7))


async def test_dtmf_events_end_at_the_channel(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """UnicastRTP has no telephone-event (RFC 4733): such packets are neither passed on nor told as an event."""
    log, left, right = await raw_ari.listen(), new_rtp(), new_rtp()
    await bridged(raw_ari, log, new_id, [left, right])
    await log.forget()
    await left.stream(range(3))
    digit_five, end = 5, 0x80
    for number in range(3, 9):
        flags = end | 10 if number >= 6 else 10
        event = bytes([digit_five, flags]) + ((number - 2) * SAMPLES).to_bytes(2)
        left.send(number, 3 * SAMPLES, event, payload_type=101, marker=number == 3)
        await asyncio.sleep(PACKET_S)
    await left.stream(range(9, 12))
    assert payloads(await right.collect()) == patterns([0, 1, 2, 9, 10, 11])
    assert [event["type"] for event in await log.settle()] == []


async def test_sending_dtmf_by_ari_sends_no_rtp(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """A digit sent to a UnicastRTP channel is accepted and makes no packet."""
    log, leg, channel = await raw_ari.listen(), new_rtp(), new_id("leg")
    await leg.call(raw_ari, channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/dtmf", dtmf="12")).status == 204
    assert await leg.collect(0.5) == []


async def test_a_muted_leg_is_not_heard(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """Mute in one direction stops what the channel says, until it is unmuted."""
    log, left, right = await raw_ari.listen(), new_rtp(), new_rtp()
    bridge = await bridged(raw_ari, log, new_id, [left, right])
    channel = (await raw_ari.get(f"/bridges/{bridge}")).body["channels"][0]
    await raw_ari.post(f"/channels/{channel}/mute", direction="in")
    await asyncio.sleep(0.1)
    await left.stream(range(5))
    assert await right.collect() == []
    await raw_ari.delete(f"/channels/{channel}/mute", direction="in")
    await asyncio.sleep(0.1)
    await left.stream(range(5, 10))
    assert payloads(await right.collect()) == patterns(range(5, 10))


async def test_three_legs_hear_the_sum_of_the_others(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """With three legs each hears the others added up and never itself; levels are those of G.711."""
    log, legs = await raw_ari.listen(), [new_rtp() for _ in range(3)]
    await bridged(raw_ari, log, new_id, legs)
    loud, soft = bytes([0x90]) * SAMPLES, bytes([0xA0]) * SAMPLES
    for number in range(25):
        legs[0].send(number, number * SAMPLES, loud)
        legs[1].send(number, number * SAMPLES, soft, ssrc=0x2222)
        await asyncio.sleep(PACKET_S)
    heard = [await leg.collect(0 if number else 0.1) for number, leg in enumerate(legs)]
    middle = [{packet.payload[80] for packet in packets[8:18]} for packets in heard]
    both = 0x88  # mu-law 0x90 is 8,  0xA0 is 16 steps less loud: their sum is one segment up
    assert 0xA0 in middle[0]
    assert 0x90 in middle[1]
    assert both in middle[2]
    assert all(
        level <= {expected, 0xFF} | {0x90, 0xA0} for level, expected in zip(middle, (0xA0, 0x90, both), strict=True)
    )
    assert all(set(sequence_steps(packets)) == {1} for packets in heard)
    assert all(set(timestamp_steps(packets)) == {SAMPLES} for packets in heard)


async def test_a_mixing_bridge_sends_silence_all_the_time(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """With three legs everybody gets a packet every 20 ms, silence when nobody speaks."""
    log, legs = await raw_ari.listen(), [new_rtp() for _ in range(3)]
    await bridged(raw_ari, log, new_id, legs)
    await asyncio.sleep(0.4)
    for leg in legs:
        packets = await leg.collect(0)
        assert 15 <= len(packets) <= 25
        assert set(payloads(packets)) == {_SILENCE}


async def test_the_stream_goes_on_when_a_bridge_starts_and_stops_to_mix(
    raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp
) -> None:
    """A third leg that comes and goes changes neither SSRC nor the run of sequence numbers."""
    log, left, right, third = await raw_ari.listen(), new_rtp(), new_rtp(), new_rtp()
    bridge = await bridged(raw_ari, log, new_id, [left, right])
    await left.stream(range(5))
    channel = new_id("leg")
    await third.call(raw_ari, channel, log)
    await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=channel)
    await log.wait_for("ChannelEnteredBridge", channel)
    await asyncio.sleep(0.1)
    await raw_ari.post(f"/bridges/{bridge}/removeChannel", channel=channel)
    await log.wait_for("ChannelLeftBridge", channel)
    await asyncio.sleep(0.1)
    await left.stream(range(30, 35), sequence=-25)
    packets = await right.collect()
    assert len({packet.ssrc for packet in packets}) == 1
    assert set(sequence_steps(packets)) == {1}
    assert payloads(packets)[:5] == patterns(range(5))
    assert payloads(packets)[-5:] == patterns(range(30, 35))


async def test_two_codecs_are_translated(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """A-law in, mu-law out: each leg gets its own payload type and samples of the same loudness."""
    log, left, right = await raw_ari.listen(), new_rtp(), new_rtp()
    await bridged(raw_ari, log, new_id, [left, right], "alaw,ulaw")
    a_law, mu_law = bytes([0x95]) * SAMPLES, bytes([0x80]) * SAMPLES
    for number in range(5):
        left.send(number, number * SAMPLES, a_law, payload_type=8)
        right.send(number, number * SAMPLES, mu_law)
        await asyncio.sleep(PACKET_S)
    at_left, at_right = await left.collect(), await right.collect(0)
    assert {packet.payload_type for packet in at_left} == {8}
    assert {packet.payload_type for packet in at_right} == {0}
    assert {packet.payload[10] for packet in at_right} == {0xBE}
    assert {packet.payload[10] for packet in at_left} == {0xAA}


async def test_a_prompt_is_heard(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """A playback sends RTP at the pace of speech, and nothing once it has finished."""
    log, leg, channel = await raw_ari.listen(), new_rtp(), new_id("leg")
    await leg.call(raw_ari, channel, log)
    await raw_ari.post(f"/channels/{channel}/play", media="sound:beep")
    await log.wait_for("PlaybackFinished")
    packets = await leg.collect()
    assert 15 <= len(packets) <= 30
    assert set(sequence_steps(packets)) == {1}
    assert set(timestamp_steps(packets)) == {SAMPLES}
    assert _SILENCE not in payloads(packets)[2:-2]
    assert await leg.collect(0.2) == []


async def test_a_silence_generator_sends_silence(raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp) -> None:
    """POST silence sends packets of silence until it is stopped."""
    log, leg, channel = await raw_ari.listen(), new_rtp(), new_id("leg")
    await leg.call(raw_ari, channel, log)
    await raw_ari.post(f"/channels/{channel}/silence")
    await asyncio.sleep(0.3)
    assert (await raw_ari.delete(f"/channels/{channel}/silence")).status == 204
    packets = await leg.collect()
    assert 5 <= len(packets) <= 20
    assert set(payloads(packets)) == {_SILENCE}
    assert await leg.collect(0.1) == []


async def test_rtp_from_elsewhere_is_learned_but_answered_as_declared(
    raw_ari: RawAri, new_id: NewId, new_rtp: NewRtp
) -> None:
    """The first four packets from an undeclared source are dropped; what comes back always goes to external_host."""
    log, declared, stranger = await raw_ari.listen(), new_rtp(), new_rtp()
    await in_echo(raw_ari, log, new_id, declared)
    stranger.remote = declared.remote
    await stranger.stream(range(8))
    assert payloads(await declared.collect()) == patterns(range(4, 8))
    assert await stranger.collect(0) == []
