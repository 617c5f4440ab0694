"""Callers with a script and a voice bot on a real Asterisk: what the report says, against what the bot itself says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_ari_sla.bot.conversation import spoken_frames
from tests.sessions.session import Session
from tests.voice_bot import BotProcess, Conversation

if TYPE_CHECKING:
    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

CONFTEST = """
import json

def pytest_ari_sla_call_ended(call):
    with open("calls.jsonl", "a") as file:
        told = [(event.what, event.detail) for event in call.timeline if event.source == "script"]
        file.write(json.dumps({"id": call.id, "state": call.state, "values": call.values, "told": told}) + "\\n")
"""
SCENARIO = '''
from pytest_ari_sla import dial, hang_up, listen, say
from pytest_ari_sla.codecs.speech import speech_like

QUESTION, STOP = speech_like(1.5, 16_000, 5), speech_like(1.0, 16_000, 7)

async def test_bot(load):
    """Callers greet, ask, dial and interrupt."""
    await load(calls={calls}, duration="1s", topology="caller", {caller}, script=[
        listen(), say(QUESTION), listen(within="5s"), dial("1#"), say(STOP, over=True), listen(), hang_up()])
'''
FRAME_NS = 20_000_000
TOLERANCE_NS = 5_000_000
LOCAL = 'to="bot@stasis"'
SIP = 'via="sip", to="sip:bot@{address}:{sip_port}", sip_user="{user}", sip_password="{password}"'
CALLERS = {"local": LOCAL, "sip": SIP}
ECHOES = {LOCAL: 'calibrate="echo@default"', SIP: 'calibrate="sip:echo@{address}:{sip_port}"'}


def call_bot(
    asterisk: PrivateAsterisk, folder: Path, calls: int, *options: str, caller: str = LOCAL, shards: int = 0
) -> tuple[dict[str, Any], BotProcess]:
    """Have callers talk to a bot; return the report's metrics, and the bot that is over."""
    session = Session(folder, asterisk)
    session.write("conftest.py", CONFTEST)
    session.write("test_bot.py", SCENARIO.format(calls=calls, caller=whom(asterisk, caller)))
    with BotProcess(asterisk.target.endpoint, folder, *options) as bot:
        done = session.run("--sla-inconclusive", "pass", *(["-n", str(shards)] if shards else []))
    assert done.exit_code == 0, done.output
    metrics: dict[str, Any] = done.scenarios["test_bot"]["metrics"]
    return metrics, bot


def whom(asterisk: PrivateAsterisk, caller: str) -> str:
    """Return arguments of a load that calls an application of this Asterisk."""
    account = {"user": asterisk.target.user, "password": asterisk.target.password}
    return caller.format(address=asterisk.address, sip_port=asterisk.sip_port, **account)


@pytest.mark.parametrize(
    ("caller", "keys", "shards", "transport"),
    [
        (LOCAL, "", 0, "rtp"),
        (SIP, "1#", 0, "rtp"),
        pytest.param(LOCAL, "", 2, "rtp", marks=pytest.mark.soak),
        (LOCAL, "", 0, "audiosocket"),
        pytest.param(LOCAL, "", 0, "websocket", marks=pytest.mark.soak),
    ],
    ids=["local", "sip", "fleet", "bot by AudioSocket", "bot by WebSockets"],
)
def test_a_script_is_followed_and_measured_as_the_bot_itself_measures_it(
    asterisk22: PrivateAsterisk, tmp_path: Path, caller: str, keys: str, shards: int, transport: str
) -> None:
    """Greeting, question, digits, barge-in: the bot sees a call ring; each time is its own, to a frame and 5 ms."""
    asked = f"{caller}, {ECHOES[caller]}" if transport == "rtp" else caller
    metrics, bot = call_bot(asterisk22, tmp_path, 5, "--transport", transport, caller=asked, shards=shards)
    assert metrics["script"]["completed"] == metrics["script"]["runs"] == 5
    assert (metrics["turn"]["count"], metrics["greeting"]["count"], metrics["barge_in"]["count"]) == (15, 5, 5)
    assert metrics["target"]["leftovers"] == 0
    # The calls that calibrate are no calls of the load.
    assert metrics["calls"]["established"] == 5
    assert ("media_path" in metrics) is (transport == "rtp")
    # Only calls by SIP have any; on a machine that others use as well the answer may come too late to be compared.
    assert metrics["target"].get("rtp_statistics_off", 0) == 0
    conversations = bot.conversations()
    calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert len(calls) == len(conversations) == 5
    assert {state for theirs in conversations.values() for state in theirs.states} == {"state Ring"}
    assert {theirs.keys for theirs in conversations.values()} == {keys}
    # On a machine that others use as well the bot may be late with its log: half of all agree in any case.
    off_ns = np.concatenate(list(differences_ns(calls, conversations).values()))
    # Asterisk hands on what streams bring by a timer of its own: up to a frame later than what it gets by RTP.
    frames = 1 if transport == "rtp" else 2
    assert np.median(np.abs(off_ns)) <= frames * FRAME_NS + TOLERANCE_NS


def differences_ns(calls: list[dict[str, Any]], conversations: dict[str, Conversation]) -> dict[str, list[int]]:
    """Return by how much each kind of time is longer in the report than the bot says."""
    found: dict[str, list[int]] = {"turn": [], "barge_in": [], "greeting": []}
    for call in calls:
        theirs = conversations[call["id"]]
        turns_ns = [int(detail.split()[0]) * 1_000_000 for what, detail in call["told"] if what == "turn"]
        assert len(turns_ns) == len(theirs.turns_ns) == 3, (call["told"], theirs.events)
        found["turn"] += [ours - own for ours, own in zip(turns_ns, theirs.turns_ns, strict=True)]
        found["barge_in"] += [round(call["values"]["barge_in"] * 1e9) - own for own in theirs.barge_ins_ns]
        least_ns, most_ns = theirs.greeting_ns
        greeting_ns = round(call["values"]["greeting"] * 1e9)
        found["greeting"].append(greeting_ns - min(max(greeting_ns, least_ns), most_ns))
    return found


CLIPPED = '''
from pytest_ari_sla import hang_up, listen, say, speech_like

FIRST, SECOND = speech_like(1.5, 16_000, 5), speech_like(1.0, 16_000, 7)

async def test_echo(load):
    """Callers hear what they say."""
    await load(calls=3, duration="1s", topology="caller", {caller}, hears_itself=True, script=[
        say(FIRST), listen(silence="300ms"), say(SECOND), listen(silence="300ms"), hang_up()])
'''


@pytest.mark.parametrize(("via", "clips_ms"), [("local", 200), pytest.param("sip", 0, marks=pytest.mark.soak)])
def test_what_an_echo_swallows_of_each_beginning_is_told_as_its_own_log_tells_it(
    asterisk22: PrivateAsterisk, tmp_path: Path, via: str, clips_ms: int
) -> None:
    """To a frame, and the frame that its clock may be off by: six utterances, each of whose beginnings is missing."""
    session = Session(tmp_path, asterisk22)
    session.write("test_echo.py", CLIPPED.format(caller=whom(asterisk22, CALLERS[via])))
    with BotProcess(asterisk22.target.endpoint, tmp_path, "--echo", "--fault", f"clip:{clips_ms}ms") as bot:
        done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    clipped = done.scenarios["test_echo"]["metrics"]["clipped"]
    assert clipped["count"] == 6
    told = [gap for call in bot.conversations().values() for gap in call.clipped_ns]
    assert len(told) == 6
    assert abs(clipped["p50"] - np.median(told) / 1e9) <= 2 * FRAME_NS / 1e9


TROUBLE = '''
import pytest
from pytest_ari_sla import hang_up, listen, say
from pytest_ari_sla.codecs.speech import speech_like

{mark}
async def test_bot(load):
    """Callers who are not answered as the script says."""
    await load(calls={calls}, duration="{duration}", topology="caller", to="{to}", script=[{steps}, hang_up()])
'''
LISTEN, ASK = "listen(within='4s')", "say(speech_like(1.0, 16_000, 7)), listen(within='4s')"
INTERRUPT = "say(speech_like(1.0, 16_000, 7), over=True, within='4s')"
FAULTS = [
    ("silence", 1, LISTEN, "", "the application answered, and was silent for the whole call"),
    ("ignore-barge-in", 1, INTERRUPT, "", "they did not stop when interrupted"),
    ("hang-up:2s", 1, f"{LISTEN}, {ASK}", "", "the other side hung up 2."),
    ("slow:300ms", 1, f"{LISTEN}, {ASK}", "turn.max < 1s", "turn.max was 1."),
    ("leak", 2, LISTEN, "target.leftovers == 0", "target.leftovers was 4, limit == 0"),
    # One caller is greeted; the one who follows finds nobody.
    ("crash:2", 1, LISTEN, "", "the Stasis application bot has gone"),
]
ROUNDS = int(os.environ.get("BOT_ROUNDS", "1"))


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize(("fault", "calls", "steps", "threshold", "words"), FAULTS, ids=[fault for fault, *_ in FAULTS])
def test_what_is_wrong_with_the_application_is_said_in_the_first_sentence(
    asterisk22: PrivateAsterisk,
    tmp_path: Path,
    fault: str,
    calls: int,
    steps: str,
    threshold: str,
    words: str,
    round_: int,
) -> None:
    """Whatever else is measured."""
    session = Session(tmp_path, asterisk22)
    mark = f"@pytest.mark.sla({threshold!r})" if threshold else ""
    lasts = "8s" if fault.startswith("crash") else "1s"
    words_of_load = {"calls": calls, "duration": lasts, "steps": steps, "mark": mark}
    session.write("test_bot.py", TROUBLE.format(to="bot@stasis", **words_of_load))
    with BotProcess(asterisk22.target.endpoint, tmp_path, "--fault", fault):
        done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 1, done.output
    assert words in first_sentence(done.output)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("bot@stasis", "nobody has subscribed to a Stasis application"),
        ("700@default", "the dialplan has no extension 700 in context default"),
    ],
)
def test_an_application_that_is_not_there_is_named_as_such(
    asterisk22: PrivateAsterisk, tmp_path: Path, to: str, words: str
) -> None:
    """Nobody answers either way; why, Asterisk knows."""
    session = Session(tmp_path, asterisk22)
    session.write("test_bot.py", TROUBLE.format(to=to, calls=1, duration="1s", steps=LISTEN, mark=""))
    done = session.run()
    assert done.exit_code == 1
    assert words in first_sentence(done.output)


def first_sentence(output: str) -> str:
    """Return what the SLA section says first of the test that failed."""
    section = output[output.index("FAIL test_bot.py::test_bot") :]
    return " ".join(section.split("\n\n")[0].split())


MENU = Path(__file__).parents[1] / "contract" / "clients" / "voice_menu.py"
CONVERSATION = '''
from pytest_ari_sla import dial, hang_up, listen, say, speech_like

# The interruption is long enough for the menu to be silent for more than a pause for breath before it answers.
QUESTION, STOP = speech_like(0.5, 16_000, 5), speech_like(1.2, 16_000, 7)
HEARD_OUT = "300ms"

async def test_menu(load):
    """A caller is greeted, asks, presses keys, and interrupts the answer."""
    await load(calls=1, duration="100ms", topology="caller", {caller}, script=[
        listen(silence=HEARD_OUT), say(QUESTION), listen(silence=HEARD_OUT), dial("1#"),
        say(STOP, over=True, after="100ms"), listen(silence=HEARD_OUT), hang_up()])
'''


@pytest.mark.parametrize(("via", "keys"), [("local", []), ("sip", ["key 1", "key #"])])
def test_an_application_with_the_client_of_others_takes_our_callers_for_callers(
    asterisk22: PrivateAsterisk, tmp_path: Path, via: str, keys: list[str]
) -> None:
    """It sees a channel in state Ring, answers, and passes greeting, question, digits and barge-in."""
    ari = asterisk22.target.endpoint
    (tmp_path / "voice.ulaw").write_bytes(b"".join(spoken_frames(1.0, 2)))
    session = Session(tmp_path, asterisk22)
    session.write("test_menu.py", CONVERSATION.format(caller=whom(asterisk22, CALLERS[via]).replace("bot@", "menu@")))
    command = [sys.executable, str(MENU), ari.base_url, ari.user, ari.password, str(tmp_path / "voice")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as menu:
        assert menu.stdout is not None
        assert menu.stdout.readline() == "subscribed\n"
        done = session.run("--sla-inconclusive", "pass")
        menu.terminate()
        told = menu.stdout.read().splitlines()
    assert done.exit_code == 0, done.output
    metrics = done.scenarios["test_menu"]["metrics"]
    assert metrics["script"]["completed"] == 1
    assert metrics["barge_in"]["count"] == 1
    assert metrics["loss"]["lost"] == 0
    assert told == ["StasisStart Ring", *keys]
