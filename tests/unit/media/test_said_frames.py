import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.media.said_frames import VoiceOrders, said_frames
from pytest_ari_sla.rtp.event_frames import event_frames

TURN_NS = 20_000_000
BYTES = 160


def voice(number: int, frames: int, events: str = "") -> Voice:
    """Return a voice whose frames tell which is which."""
    content = np.arange(frames)[:, None] * 10 + number + np.zeros((1, BYTES), int)
    if not events:
        return Voice(pcmu(), content.astype(np.uint8))
    pressed = event_frames(events, 101, 8000, 20)
    silence = np.zeros((len(pressed), BYTES), np.uint8)
    return Voice(pcmu(), silence, events=pressed)


VOICES = [voice(0, 1), voice(1, 5), voice(2, 3)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=6), st.integers(0, 30), st.integers(1, 40))
def test_each_turn_carries_the_frame_that_was_its_own(
    orders: list[tuple[int, int]], first_turn: int, count: int
) -> None:
    """Whichever turns are still known: a voice begins with its first frame when it was told, and goes on from there."""
    began, turn = [], 3
    for number, turns in orders:
        began.append((turn, number))
        turn += turns
    due_ns = (first_turn + np.arange(count)) * TURN_NS + 7
    begun = [(at * TURN_NS + 7, number) for at, number in began]
    said = said_frames(due_ns, first_turn, TURN_NS, VOICES[0], begun, VOICES)
    for place in range(count):
        at, number = max((order for order in began if order[0] <= first_turn + place), default=(0, 0))
        frames = VOICES[number].frames
        assert said.payload[place, 0] == frames[(first_turn + place - at) % len(frames)][0]
    assert not said.event.any()


def test_keys_are_told_with_their_own_payload() -> None:
    """A telephone event is sent instead of audio, and has the time stamp at which it began."""
    voices = [VOICES[0], voice(1, 1, events="5")]
    said = said_frames(np.arange(4) * TURN_NS, 0, TURN_NS, voices[0], [(TURN_NS, 1)], voices)
    assert said.event.tolist() == [0, 101 | 0x80, 101, 101]
    assert said.frames_ago.tolist() == [0, 0, 1, 2]
    assert said.payload[1, 0] == 5


def test_an_order_counts_from_when_it_was_carried_out() -> None:
    """What was never begun was not said; what began is told with the next order, or at the end."""
    orders = VoiceOrders()
    orders.order(1, 0, 90)
    orders.settle(0)
    assert orders.begun == []
    orders.order(2, 100, 190)
    orders.settle(200)
    orders.settle(200)
    assert orders.begun == [(100, 1), (200, 2)]


def test_of_two_orders_before_one_frame_the_second_was_said() -> None:
    """Both begin with that frame; one that was told after it and has not begun was not said."""
    orders = VoiceOrders()
    orders.order(1, 0, 90)
    orders.order(0, 100, 185)
    orders.order(2, 200, 195)
    orders.order(0, 200, 290)
    assert orders.begun == [(100, 1), (200, 2)]
    orders.settle(200)
    assert orders.begun == [(100, 1), (200, 2)]
    orders.settle(300)
    assert orders.begun == [(100, 1), (200, 2), (300, 0)]
