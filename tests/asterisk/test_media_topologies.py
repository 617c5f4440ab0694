"""What happens to audio inside a real Asterisk: transcoders, mixers, muted and listening channels, dialled digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_resampling import FILTER_S
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

PASS_THROUGH = '''
async def test_pass_through(load):
    """Pairs that Asterisk passes untouched."""
    await load(calls=3, duration="8s", topology="pair")
'''
TRANSCODE = '''
async def test_{other}(load):
    """Pairs in two codecs."""
    await load(calls=3, duration="8s", topology="transcode", codec="PCMU", other_codec="{other}")
'''
LOAD = '''
async def test_load(load):
    """A small load."""
    await load({arguments})
'''

AGREEMENT_S = 0.005


def run(asterisk: PrivateAsterisk, folder: Path, source: str) -> dict[str, Any]:
    """Run scenarios on a real Asterisk; return the metrics of each, by the name of its test."""
    session = Session(folder, asterisk)
    session.write("test_media.py", source)
    done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    return {name: scenario["metrics"] for name, scenario in done.scenarios.items()}


def measure(asterisk: PrivateAsterisk, folder: Path, arguments: str) -> dict[str, Any]:
    """Run one load; return its metrics."""
    metrics: dict[str, Any] = run(asterisk, folder, LOAD.format(arguments=arguments))["test_load"]
    return metrics


def assert_all_back(metrics: dict[str, Any], packets: int) -> None:
    """All of these packets were measured, but for those that a busy machine may have kept us from sending."""
    assert packets - metrics["harness"]["not_sent"] <= metrics["one_way"]["count"] <= packets


def test_the_way_through_a_transcoder_agrees_with_the_way_of_packets(
    asterisk22: PrivateAsterisk, tmp_path: Path
) -> None:
    """Audio that is found by its sound behind A-law, GSM and G.722 is as fast as untouched packets, within 5 ms.

    For G.722, which samples twice as fast, that is so once the delay of Asterisk's resampling filter is taken off: it
    is in the audio, whatever becomes of packets, and known by another way (``tests/contract/test_resampling.py``).
    """
    sources = [PASS_THROUGH, *(TRANSCODE.format(other=other) for other in ("PCMA", "GSM", "G722"))]
    metrics = run(asterisk22, tmp_path, "".join(sources))
    way_s = metrics["test_pass_through"]["one_way"]["p50"]
    for other, filter_s in {"PCMA": 0.0, "GSM": 0.0, "G722": FILTER_S}.items():
        found = metrics[f"test_{other}"]
        assert found["content"]["recognised"] >= 12
        assert found["content"]["unrecognised"] == found["content"]["unheard"] == 0
        assert abs(found["mouth_to_ear"]["p50"] - filter_s - way_s) < AGREEMENT_S, other
        assert found["loss"]["lost"] == 0


def test_a_conference_of_five_is_heard_by_all(asterisk22: PrivateAsterisk, tmp_path: Path) -> None:
    """Each party hears each other one in its turn; the mixer's delay of up to 20 ms shows."""
    metrics = measure(asterisk22, tmp_path, 'calls=1, duration="22s", topology="conference", parties=5')
    assert metrics["content"]["unheard"] == 0
    assert metrics["content"]["recognised"] >= 30
    assert metrics["content"]["unrecognised"] <= 1
    # Half of all: single delays are longer where a busy machine lets the mixer wait.
    assert metrics["mouth_to_ear"]["p50"] < 0.04


def test_a_party_that_nobody_hears_is_found(asterisk22: PrivateAsterisk, tmp_path: Path) -> None:
    """Muted in a conference of three, it is missing at both others; what it hears itself is complete."""
    muting = """
from pytest_ari_sla.topologies.conference import Conference

class Muted(Conference):
    name = "muted"

    async def establish(self, call):
        await super().establish(call)
        await call.ari.mute(call.legs[0].channel_id, "in")

def pytest_ari_sla_register_topologies():
    return [Muted()]
"""
    (tmp_path / "conftest.py").write_text(muting)
    metrics = measure(asterisk22, tmp_path, 'calls=1, duration="16s", topology="muted"')
    assert metrics["content"]["unheard"] == 2
    assert metrics["audio"]["one_way_legs"] == 0


def test_a_muted_leg_is_one_way_audio(asterisk: PrivateAsterisk, tmp_path: Path) -> None:
    """Of each pair one party is on hold: the other one hears nothing, and is counted."""
    metrics = measure(asterisk, tmp_path, 'calls=3, duration="5s", topology="hold"')
    assert metrics["audio"]["one_way_legs"] == 3
    assert_all_back(metrics, 3 * 250)


def test_a_snooping_channel_hears_what_the_party_says(asterisk: PrivateAsterisk, tmp_path: Path) -> None:
    """The parties talk as if nobody listened; the listener hears the first one, a little later; nothing is left."""
    metrics = measure(asterisk, tmp_path, 'calls=2, duration="8s", topology="snoop"')
    assert_all_back(metrics, 2 * 400)
    assert metrics["content"]["altered"] == metrics["content"]["unheard"] == 0
    assert metrics["content"]["recognised"] >= 8
    assert metrics["calls"]["leaked"] == 0
    # ExternalMedia speaks no RTCP (tests/contract/test_rtcp.py): no report is told as none, not as no loss.
    assert metrics["harness"]["reports_sent"] >= 2 * 2
    assert metrics["rtcp"]["reports"] == 0
    assert "fraction_lost" not in metrics["rtcp"]


@pytest.mark.parametrize("other", ["PCMA", *(pytest.param(name, marks=pytest.mark.soak) for name in ("G722", "GSM"))])
def test_digits_arrive_once_each(asterisk22: PrivateAsterisk, tmp_path: Path, other: str) -> None:
    """All sixteen, dialled as tones through a transcoder, round after round."""
    arguments = f'calls=2, duration="8.4s", topology="transcode", other_codec="{other}", digits="0123456789*#ABCD"'
    tones = measure(asterisk22, tmp_path, arguments)["tones"]
    assert tones["lost"] == tones["wrong"] == 0
    # Exactly two rounds, wherever in one a leg begins: a digit may be cut in two, and be heard at both ends or at none.
    assert 4 * 31 <= tones["digits"] <= 4 * 33


def test_an_extension_that_does_not_exist_is_named(asterisk22: PrivateAsterisk, tmp_path: Path) -> None:
    """Asterisk accepts the calls and hangs all of them up when they reach the dialplan."""
    session = Session(tmp_path, asterisk22)
    session.write("test_media.py", LOAD.format(arguments='calls=2, duration="1s"'))
    done = session.run("--ari-echo-extension", "nowhere@default")
    assert done.exit_code == pytest.ExitCode.TESTS_FAILED
    output = " ".join(line.removeprefix("E").strip() for line in done.output.splitlines())
    assert "sent to nowhere@default: is there such an extension" in output
