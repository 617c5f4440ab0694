import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scapy.utils import PcapNgReader

from pytest_ari_sla.capture.kept_packets import CapturedStream, PacketKeeper, rebuilt_packets
from pytest_ari_sla.capture.pcapng import capture_name, write_capture
from pytest_ari_sla.rtp.jitter import JitterEstimator
from tests.unit.batches import START_NS, Packet, batch_of

PACKET_NS = 20_000_000
LOST = {40, 41, 42, 90, 150}
ASTERISK, OURS = ("127.0.0.1", 18_230), ("127.0.0.1", 20_480)


def received_packets(count: int = 200, seed: int = 1) -> list[Packet]:
    """Return what arrives of a PCMA stream when five packets are lost and the others come up to 6 ms late."""
    random = np.random.default_rng(seed)
    return [
        Packet(
            sequence=(65_500 + n) % 65_536,
            timestamp=n * 160,
            ssrc=0xABCD,
            payload_type=8,
            arrival_ns=START_NS + n * PACKET_NS + int(random.integers(0, 6_000_000)),
            payload=bytes([n % 256] * 160),
        )
        for n in range(count)
        if n not in LOST
    ]


def written(folder: Path, *, payload_bytes: int = 0, comment: str = "its RTT reached 1 s") -> Path:
    """Return a capture of both directions of a call."""
    keeper = PacketKeeper(legs=1, payload_bytes=payload_bytes)
    keeper.observe(batch_of(received_packets()))
    sent = rebuilt_packets(
        START_NS + np.arange(200, dtype=np.int64) * PACKET_NS,
        first_sequence=7,
        first_timestamp=0,
        ticks_per_packet=160,
        ssrc=0x1234,
        payload_type=8,
        payload_length=160,
    )
    path = folder / "captures" / "call.pcapng"
    streams = [
        CapturedStream(ASTERISK, OURS, keeper.take(0), "PCMA/8000"),
        CapturedStream(OURS, ASTERISK, sent, "PCMA/8000"),
    ]
    assert write_capture(path, streams, comment) == 395
    return path


def tshark(*arguments: str) -> str:
    """Run tshark; where CI lacks it, that is a failure."""
    if not shutil.which("tshark"):
        assert "CI" not in os.environ, "CI has to install tshark"
        pytest.skip("tshark is not installed")
    return subprocess.run(["tshark", *arguments], check=True, capture_output=True, text=True).stdout


def rtp_streams(path: Path) -> dict[int, list[str]]:
    """Return tshark's table of RTP streams: the columns from the codec on, by SSRC."""
    rows = [line.split() for line in tshark("-r", str(path), "-q", "-z", "rtp,streams").splitlines() if "0x" in line]
    return {int(row[6], 16): row[7:] for row in rows}


@pytest.mark.parametrize("payload_bytes", [0, 160])
def test_wireshark_agrees_on_loss_and_jitter(tmp_path: Path, payload_bytes: int) -> None:
    """The evidence shows what the report says, also where only headers were kept."""
    path = written(tmp_path, payload_bytes=payload_bytes)
    jitter = JitterEstimator(legs=1, clock_rate_hz=8_000)
    highest = total = 0.0
    for packet in received_packets():
        jitter.update(batch_of([packet]))
        now_ms = float(np.nan_to_num(jitter.jitter_ns()[0])) / 1e6
        highest, total = max(highest, now_ms), total + now_ms
    codec, count, lost, share, *figures = rtp_streams(path)[0xABCD]
    assert (codec, count, lost, share) == ("g711A", "195", "5", "(2.5%)")
    # The last three figures are the jitter's minimum, mean and maximum; tshark leaves the first packet out.
    assert float(figures[5]) == pytest.approx(highest, abs=0.002)
    assert float(figures[4]) == pytest.approx(total / 194, abs=0.02)


def test_both_directions_are_decoded_as_rtp_without_any_setting(tmp_path: Path) -> None:
    """Opening the file is enough: the announcement tells where RTP is."""
    streams = rtp_streams(written(tmp_path))
    assert {ssrc: row[1:3] for ssrc, row in streams.items()} == {0xABCD: ["195", "5"], 0x1234: ["200", "0"]}
    protocols = tshark("-r", str(written(tmp_path)), "-T", "fields", "-e", "frame.protocols").split()
    assert protocols[0].endswith("sap:sdp")
    assert all(protocol.endswith("rtp") for protocol in protocols[1:])


def test_comments_tell_what_is_wrong_and_where_packets_are_missing(tmp_path: Path) -> None:
    """Wireshark shows them in its list."""
    with PcapNgReader(str(written(tmp_path, comment="lost 5 packets, worst of 50"))) as reader:
        comments = [text.decode() for packet in reader for text in packet.comments or ()]
    assert comments[0] == "lost 5 packets, worst of 50"
    assert comments[1].startswith("Not from the network")
    assert comments[2:] == [
        "3 packets missing before this one",
        "1 packet missing before this one",
        "1 packet missing before this one",
    ]


def test_times_are_those_of_the_kernel_to_the_microsecond(tmp_path: Path) -> None:
    """A capture can be laid beside one that was taken at Asterisk."""
    with PcapNgReader(str(written(tmp_path))) as reader:
        times = [float(packet.time) for packet in reader if packet.sport == ASTERISK[1]]
    expected = [packet.arrival_ns / 1e9 for packet in received_packets()]
    assert times == pytest.approx(expected, abs=2e-6)


def test_a_cut_packet_keeps_its_length(tmp_path: Path) -> None:
    """As with a snapshot length: the header says how long it was."""
    with PcapNgReader(str(written(tmp_path))) as reader:
        packets = [packet for packet in reader if packet.sport == ASTERISK[1]]
    assert {(packet.len, packet.wirelen, len(bytes(packet.payload.payload))) for packet in packets} == {(200, 200, 12)}


def test_a_hostile_comment_does_no_harm(tmp_path: Path) -> None:
    """Whatever a peer said is text."""
    path = written(tmp_path, comment="\x1b[2J\ud800" + "x" * 100_000)
    with PcapNgReader(str(path)) as reader:
        assert len(list(reader)) == 396


def test_a_call_without_packets_still_leaves_a_file(tmp_path: Path) -> None:
    """That nothing came is evidence too."""
    empty = CapturedStream(ASTERISK, OURS, PacketKeeper(legs=1).take(0))
    assert write_capture(tmp_path / "none.pcapng", [empty], "no packet came") == 0
    with PcapNgReader(str(tmp_path / "none.pcapng")) as reader:
        assert len(list(reader)) == 1


def test_the_name_of_a_file_is_safe_and_unique() -> None:
    """An id from elsewhere cannot lead out of the folder, and no two calls share a file."""
    assert capture_name("9f3a1c-00025") == "9f3a1c-00025.pcapng"
    hostile = [capture_name(name) for name in ("../../etc/passwd", "a/b", "a_b", "a?b", ".hidden", "", "é" * 500)]
    assert len(set(hostile)) == 7
    assert not any("/" in name or name.startswith(".") or len(name) > 120 for name in hostile)
