"""Keys in an RTP stream."""

from __future__ import annotations

from pytest_ari_sla.rtp.event_frames import EVENT_FRAME, event_frames, pressed_frames


def test_each_key_is_an_event_of_100_ms_that_ends_three_times() -> None:
    """RFC 4733, 2.5.1: one time stamp, ever longer durations, the marker on the first packet only."""
    packets = event_frames("1#", 101, 8000, 20).view(EVENT_FRAME)[:, 0]
    one, hash_key = packets[:9], packets[9:]
    assert one["marker_and_type"].tolist() == [0x80 | 101, *[101] * 6, 0, 0]
    assert one["frames_ago"].tolist() == [*range(7), 0, 0]
    durations = one["payload"][:7, 2].astype(int) * 256 + one["payload"][:7, 3]
    assert durations.tolist() == [160, 320, 480, 640, 800, 800, 800]
    assert (one["payload"][:7, 1] >= 0x80).tolist() == [False] * 4 + [True] * 3
    assert set(one["payload"][:7, 0].tolist()) == {1}
    assert set(hash_key["payload"][:7, 0].tolist()) == {11}


def test_the_last_key_is_released_with_its_first_packet_that_says_so() -> None:
    """From there on the other side's answer counts."""
    packets = event_frames("12", 101, 8000, 20).view(EVENT_FRAME)[:, 0]
    released = [place for place, packet in enumerate(packets) if packet["payload"][1] >= 0x80]
    assert pressed_frames("12", 20) == released[3] + 1
