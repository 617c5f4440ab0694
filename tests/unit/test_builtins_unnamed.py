"""The core names no codec, tracker or topology: they come through the hooks, the built-in ones like a stranger's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pytest_ari_sla
from pytest_ari_sla.session.plugins.registry import builtin_registry

PACKAGE = Path(pytest_ari_sla.__file__).parent
BUILTIN = builtin_registry()
OWN = ("codecs", "topologies", "trackers")
# What plug-in authors get to try theirs with; stand-ins for an Asterisk and for an application, which have codecs and
# an Echo() of their own; and faults of Asterisk, which are tried in Asterisk's words.
OUTSIDE = (*OWN, "bot", "bugs", "testing", "targets/simulator")
CORE = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not path.relative_to(PACKAGE).as_posix().startswith(tuple(f"{folder}/" for folder in OUTSIDE))
]
REGISTRATION = {"pytest_ari_sla.codecs", "pytest_ari_sla.topologies", "pytest_ari_sla.trackers.builtin"}
TEST_SIGNAL = "pytest_ari_sla.codecs.speech"
"""What is said in any codec."""

OTHER_MEANINGS = {
    "echo": {
        "settings.py",  # what load() takes where a test names none; and the dialplan's extension
        "cli.py",  # the command that runs an echo server
        "options.py",  # the address of one
    },
    "relay": {"cli.py", "options.py"},  # the command that runs a relay, and the address of one
    "hold": {
        "__init__.py",  # a stage of a load: hold("5m")
        "load/planning/stages.py",
        "ari_client/verbs/commands.py",  # what ARI calls putting a channel on hold
        "session/loads/capacity_run.py",  # the stage of a step that is judged
    },
    "caller": {"ari/messages.py", "ari_client/verbs/commands.py"},  # whom ARI says is shown, and who dials
    "PCMU": {
        "settings.py",  # what load() takes where a test names none
        "rtp_media/transport.py",  # what a transport carries where nobody says
        "stream_media/transport.py",
    },
    "L16": {"stream_media/transport.py"},  # likewise: AudioSocket has nothing else
    "opus": {"signalling/sip.py"},  # SDP says that it has two channels, whatever it carries (RFC 7587)
    "slin": {"stream_media/frame_reader.py"},  # whose samples are big-endian in RTP, and little-endian there
}
"""Where a literal that a built-in is named by is something else, or a declared default."""

NAMES = [*BUILTIN.codecs, *(codec.asterisk_format for codec in BUILTIN.codecs.values()), *BUILTIN.topologies]


def literals(path: Path) -> set[str]:
    """Return the strings in a module's code: all but its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs)
    return {node.value for node in constants if isinstance(node.value, str)}


def imports(path: Path) -> set[str]:
    """Return the modules that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


LITERALS = {path.relative_to(PACKAGE).as_posix(): literals(path) for path in CORE}


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_codec_or_a_topology_is_in_the_core(name: str) -> None:
    """But for one declared default each, and words that mean something else where they stand."""
    named = {path for path, found in LITERALS.items() if name in found}
    assert named == OTHER_MEANINGS.get(name, set())


def test_only_the_registration_imports_built_ins() -> None:
    """Of codecs, topologies and trackers nothing else is imported, but the sounds that loads say in any codec."""
    prefixes = tuple(f"pytest_ari_sla.{kind}" for kind in OWN)
    found = {
        (path.relative_to(PACKAGE).as_posix(), module)
        for path in CORE
        for module in imports(path)
        if module.startswith(prefixes)
    }
    assert found == {
        *(("session/plugins/registry.py", module) for module in REGISTRATION),
        ("load/planning/voices.py", TEST_SIGNAL),
        ("callers/audio.py", TEST_SIGNAL),  # the tones of digits
        ("callers/listener.py", "pytest_ari_sla.trackers.audio.sampling"),  # packets decoded, by any codec
        ("__init__.py", "pytest_ari_sla.codecs.g711"),  # handed to authors of codecs
        ("__init__.py", TEST_SIGNAL),  # handed to authors of scripts
    }
