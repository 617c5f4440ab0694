"""Voice applications that others wrote, unchanged, driven by callers with scripts; each in its own environment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.bot.conversation import spoken_frames
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder
from tests.sessions.fresh_environment import installed, run
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]
STUBS = Path(__file__).with_name("voice_agent")
AGENT = "asterisk-ai-voice-agent==0.1.6"
ENGINE = "piper-tts"
"""The speech engine that it pins; there is no build of it for today's Pythons."""

MODEL_CLIENT = "anthropic<0.80"
"""Later ones refuse the agent's ``temperature=``: it says that it had a problem then, in a healthy voice."""

REQUIREMENTS = "import importlib.metadata as m, sys; print(*m.requires(sys.argv[1]), sep='\\n')"
READY_S = 60.0

# What the agent's page asks for: each call is announced to it under a UUID before AudioSocket() connects.
DIALPLAN = """
[agent]
exten => talk,1,Answer()
 same => n,Set(CALL_UUID=${{UUID()}})
 same => n,Set(ANNOUNCED={{"uuid":"${{CALL_UUID}}","persona":"demo"}})
 same => n,Set(REPLY=${{CURL(http://127.0.0.1:{register}/register,${{ANNOUNCED}})}})
 same => n,AudioSocket(${{CALL_UUID}},127.0.0.1:{audio})
 same => n,Hangup()
"""
SCENARIO = '''
import pytest
from pytest_ari_sla import hang_up, listen, say, speech_like

QUESTION, STOP = speech_like(1.5, 16_000, 5), speech_like(1.0, 16_000, 7)

@pytest.mark.sla("script.completed_ratio >= 100%", "turn.p95 < 5s", "barge_in.p95 < 2s")
async def test_agent(load):
    """Callers are greeted, ask, and interrupt the answer."""
    await load(calls=3, duration="1s", topology="caller", to="talk@agent", script=[
        listen(), say(QUESTION), say(STOP, over=True), listen(), hang_up()])
'''


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], is_ready: Callable[[], bool], log: Path, **environment: str) -> Iterator[None]:
    """Run a server for the block, from when it is ready."""
    with log.open("w") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        deadline_s = time.monotonic() + READY_S
        while not is_ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def answers(*ports: int) -> bool:
    """Whether all of these ports take connections."""
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return False
    return True


def agents_python(environments: Path) -> Path:
    """Return the interpreter of an environment with the agent, and all that it requires but its speech engine."""
    environment = environments / "voice-agent"
    python = installed(environment, "--no-deps", AGENT)
    wanted = run(python, "-c", REQUIREMENTS, AGENT.split("==")[0], cwd=environment).split("\n")
    installed_too: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    needed = [name for name in wanted if name and not name.startswith(ENGINE)]
    run(*installed_too, *needed, MODEL_CLIENT, cwd=environment)
    return python


def test_a_voice_agent_of_others_is_driven_unmodified(environments: Path, tmp_path: Path) -> None:
    """Over AudioSocket, from the dialplan: greeted, asked, answered and interrupted, with stubs for its engines."""
    python = agents_python(environments)
    register, audio, engines = free_port(), free_port(), free_port()
    (tmp_path / "voice.onnx").touch()
    config = {
        "listen": {"host": "127.0.0.1", "register_port": register, "audiosocket_port": audio},
        "providers": {
            "openai": {"api_key": "none"},
            "anthropic": {"api_key": "none"},
            "piper": {"voices_dir": str(tmp_path), "default_voice": "voice"},
        },
        "limits": {"max_concurrent_calls": 3},  # two, if nothing is said: the third caller would hear nothing
    }
    # JSON is YAML.
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    (tmp_path / "personas.yaml").write_text(json.dumps({"demo": {"greeting": "Good morning. What can I do for you?"}}))
    environment = {
        "AI_AGENT_CONFIG": str(tmp_path / "config.yaml"),
        "AI_AGENT_PERSONAS": str(tmp_path / "personas.yaml"),
        "OPENAI_BASE_URL": f"http://127.0.0.1:{engines}/v1",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{engines}",
        "PYTHONPATH": str(STUBS),
    }
    with ExitStack() as stack:
        command = [sys.executable, str(STUBS / "engines.py"), str(engines)]
        stack.enter_context(running(command, partial(answers, engines), tmp_path / "engines.log"))
        agent = [str(python.with_name("asterisk-ai-voice-agent"))]
        is_there = partial(answers, register, audio)
        stack.enter_context(running(agent, is_there, tmp_path / "agent.log", **environment))
        dialplan = DIALPLAN.format(register=register, audio=audio)
        asterisk = PrivateAsterisk(
            provisioned_folder("22"),
            extra_modules=("res_curl", "func_curl", "func_uuid", "app_audiosocket"),
            configuration_folder=configuration(tmp_path, **{"extensions.conf": dialplan}),
        )
        stack.enter_context(asterisk)
        session = Session(scenarios(tmp_path), asterisk)
        session.write("test_agent.py", SCENARIO)
        done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output + (tmp_path / "agent.log").read_text()
    metrics = done.scenarios["test_agent"]["metrics"]
    assert metrics["script"]["completed"] == 3
    assert metrics["greeting"]["count"] == 3
    assert metrics["barge_in"]["count"] >= 1  # one who is slow may find the answer over
    assert metrics["loss"]["lost"] == 0
    assert "ERROR" not in (tmp_path / "agent.log").read_text()


def scenarios(folder: Path) -> Path:
    """Return a folder for the session: what others wrote has tests as well."""
    own = folder / "scenarios"
    own.mkdir()
    return own


def configuration(folder: Path, **files: str) -> Path:
    """Return a folder of configuration files."""
    own = folder / "asterisk"
    own.mkdir()
    for name, text in files.items():
        (own / name).write_text(text)
    return own


EXAMPLE = "asyncari==0.20.6"
HELLO = '''
import asyncio
from pytest_ari_sla import dial, hang_up

async def hear(caller):
    """Wait until the recording is heard."""
    while not caller.is_heard:
        await asyncio.sleep(0.02)

async def test_hello(load, target):
    """Callers hear a recording, have it begin again, and end it by a key."""
    await load(calls=3, duration="1s", topology="caller", via="sip", to="sip:hello@{address}:{port}",
               sip_user="{user}", sip_password="{password}",
               script=[hear, dial("2"), hear, dial("#"), hang_up(by="them")])
'''


def test_an_example_of_an_ari_client_is_driven_unmodified(environments: Path, tmp_path: Path) -> None:
    """``playback.py`` of asyncari: it plays a recording to whoever calls, and keys control that."""
    python = installed(environments / "asyncari", EXAMPLE)
    download: list[str | Path] = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    run(*download, EXAMPLE, cwd=tmp_path)
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as sources:
        sources.extractall(tmp_path / "sources", filter="data")
    (example,) = tmp_path.glob("sources/*/examples/playback.py")
    sounds = configuration(tmp_path) / "sounds"
    sounds.mkdir()
    (sounds / "demo-congrats.ulaw").write_bytes(b"".join(spoken_frames(8.0, 2)))
    with ExitStack() as stack:
        asterisk = stack.enter_context(PrivateAsterisk(provisioned_folder("22"), configuration_folder=sounds.parent))
        ari = asterisk.target.endpoint
        environment = {
            "AST_URL": ari.base_url.removesuffix("ari"),
            **{"AST_USER": ari.user, "AST_PASS": ari.password, "AST_APP": "hello"},
        }
        log = tmp_path / "example.log"
        is_there = partial(_is_subscribed, asterisk, "hello")
        stack.enter_context(running([str(python), str(example)], is_there, log, **environment))
        session = Session(scenarios(tmp_path), asterisk)
        session.write(
            "test_hello.py",
            HELLO.format(address=asterisk.address, port=asterisk.sip_port, user=ari.user, password=ari.password),
        )
        done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output + log.read_text()[-5000:]
    assert done.scenarios["test_hello"]["metrics"]["script"]["completed"] == 3


def _is_subscribed(asterisk: PrivateAsterisk, name: str) -> bool:
    ari = asterisk.target.endpoint
    wanted = urllib.request.Request(f"{ari.base_url}/applications")
    wanted.add_header("Authorization", ari.authorization)
    with urllib.request.urlopen(wanted) as answer:
        return any(application["name"] == name for application in json.load(answer))
