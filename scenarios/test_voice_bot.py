"""Does a voice bot answer, speak in time, and stop when it is interrupted? Ten callers with a script.

The bot is the one that comes with the tool, started here; point ``to`` at your own and leave the fixture out.
"""

import os
import subprocess
import sys
import time

import pytest

from pytest_ari_sla import dial, hang_up, listen, say, speech_like

# Speech made by rule; say("question.wav") says a recording that lies beside this file.
QUESTION, STOP = speech_like(1.5, 16_000, seed=5), speech_like(1.0, 16_000, seed=7)


@pytest.fixture
def bot(target, tmp_path):
    """Run the bot as the Stasis application ``bot``, which the extension ``bot@stasis`` leads to."""
    log = tmp_path / "bot.jsonl"
    account = {"ARI_URL": target.url, "ARI_USER": target.user, "ARI_PASSWORD": target.password}
    command = [sys.executable, "-m", "pytest_ari_sla", "bot", "--log", str(log)]
    with subprocess.Popen(command, env={**os.environ, **account}) as process:
        while process.poll() is None and not (log.exists() and "subscribed" in log.read_text()):
            time.sleep(0.1)
        yield
        process.terminate()


@pytest.mark.sla("script.completed_ratio >= 100%", "greeting.p95 < 2s", "turn.p95 < 2s", "barge_in.p95 < 500ms")
@pytest.mark.usefixtures("bot")
async def test_conversation(load, target):
    """Callers are greeted, ask, press keys, and interrupt the answer."""
    # The simulator has no callers that ring.
    way = "external_media" if target.kind == "simulator" else "local"
    script = [
        listen(),
        say(QUESTION),
        listen(within="5s"),
        dial("1#"),
        say(STOP, over=True),
        listen(within="5s"),
        hang_up(),
    ]
    await load(calls=10, duration="1s", topology="caller", to="bot@stasis", via=way, script=script)
