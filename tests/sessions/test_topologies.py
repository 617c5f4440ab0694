"""The built-in topologies, asked for by tests: what is measured, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sessions.session import Session

LOAD = '''
    async def test_load(load):
        """A small load."""
        await load({arguments})
'''


def measure(session: Session, arguments: str) -> dict[str, Any]:
    """Run one load; return its metrics."""
    session.write("test_topology.py", LOAD.format(arguments=arguments))
    done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    metrics: dict[str, Any] = done.scenarios["test_load"]["metrics"]
    return metrics


def in_one_line(output: str) -> str:
    """Return what pytest wrapped and marked with E as it was said."""
    return " ".join(line.removeprefix("E").strip() for line in output.splitlines())


def test_audio_is_found_behind_a_transcoder(session: Session) -> None:
    """Each end speaks a codec of its own; no probe survives that, but the sound does."""
    metrics = measure(session, 'calls=2, duration="4s", topology="transcode", codec="PCMU", other_codec="alaw"')
    assert metrics["mouth_to_ear"]["count"] == metrics["content"]["recognised"] > 0
    assert metrics["mouth_to_ear"]["max"] < 0.5
    assert metrics["loss"]["lost"] == 0
    assert "rtt" not in metrics


def test_everybody_is_heard_in_a_conference(session: Session) -> None:
    """Parties speak in turn, so that it is known who is heard by whom."""
    metrics = measure(session, 'calls=1, duration="9s", topology="conference", parties=4')
    assert metrics["content"]["recognised"] >= 12
    assert metrics["content"]["unheard"] == 0


def test_digits_arrive_once_each(session: Session) -> None:
    """They are dialled as tones, and followed by ear."""
    metrics = measure(session, 'calls=2, duration="4.2s", topology="pair", digits="0123456789*#ABCD"')
    # One heard twice would be out of its order, and so count as lost.
    assert metrics["tones"] == {"digits": metrics["tones"]["digits"], "lost": 0, "wrong": 0}
    # Exactly one round, wherever in it a leg begins: one digit at most is cut in two, and heard at both ends.
    assert 4 * 16 <= metrics["tones"]["digits"] <= 4 * 17


def test_a_party_on_hold_is_one_way_audio(session: Session) -> None:
    """The other party hears nothing; the one on hold hears all."""
    metrics = measure(session, 'calls=3, duration="4s", topology="hold"')
    assert metrics["audio"]["one_way_legs"] == 3
    # Of 600 packets a busy machine may have kept us from sending some.
    assert 3 * 200 - metrics["harness"]["not_sent"] <= metrics["one_way"]["count"] <= 3 * 200


REFUSED = {
    'topology="transcode"': "topology 'transcode' uses two codecs: load(codec=…, other_codec=…)",
    'other_codec="G722"': "topology 'echo' uses one codec: other_codec='G722' has no leg",
    'codec="OPUS"': "codec OPUS has the dynamic RTP payload type 107",
    "party=5": "neither load() nor topology 'echo' knows party; it has no options",
    'topology="conference", party=5': "topology 'conference' knows party; its options are parties",
    'topology="conference", parties=2': "a conference has at least 3 parties, not 2; for two there is 'pair'",
    'digits="12E"': "'E' in '12E' is not a DTMF digit; there are 123A456B789C*0#D",
    'digits="1", topology="conference"': "several legs are heard dialling at once",
}


def test_what_makes_no_sense_is_refused_before_the_first_call(session: Session) -> None:
    """One sentence says what is wrong with each, and the session exits as after a wrong command line."""
    loads = (
        f"async def test_{number}(load): await load(calls=1, duration='1s', {more})"
        for number, more in enumerate(REFUSED)
    )
    session.write("test_topology.py", "\n".join(loads))
    done = session.run()
    output = in_one_line(done.output)
    assert [message for message in REFUSED.values() if message not in output] == []
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR
    assert not any(scenario["codec"] for scenario in done.scenarios.values())  # none of them has begun


def test_an_extension_that_does_not_exist_is_named(session: Session) -> None:
    """Where Asterisk hangs all calls up at once, no firewall is blamed."""
    session.write("test_topology.py", LOAD.format(arguments='calls=2, duration="1s"'))
    done = session.run("--ari-echo-extension", "nowhere@default")
    output = in_one_line(done.output)
    assert done.exit_code == pytest.ExitCode.TESTS_FAILED
    assert "Asterisk hung up all 2 calls that it had accepted, before one RTP packet came back" in output
    assert "they had been sent to nowhere@default: is there such an extension" in output
