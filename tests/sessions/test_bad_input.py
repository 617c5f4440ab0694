"""Bad input: one clear sentence that names the guilty side and what to do, exit code 4, and not one call made."""

from __future__ import annotations

import http.server
import re
import socket
import ssl
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.asterisk.conftest import provisioned_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sessions.session import Finished, Session

LOAD = """
    import pytest

    {mark}
    async def test_calls(load):
        \"\"\"Some calls.\"\"\"
        await load({words})
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    """An ARI to be wrong about."""
    with SimulatorProcess() as process:
        yield process


def write_load(session: Session, words: str = 'calls=2, duration="1s"', mark: str = "") -> None:
    """Write a scenario of one load."""
    session.write("test_load.py", LOAD.format(words=words, mark=mark))


def assert_refused(done: Finished, *sentences: str, culprit: str) -> None:
    """Exit code 4, each sentence and the guilty side in the output, no traceback of ours, and no call made."""
    words = " ".join(done.output.split())
    assert done.exit_code == 4, done.output
    for sentence in sentences:
        assert re.search(sentence, words), f"no {sentence!r} in:\n{done.output}"
    assert f"(at fault: {culprit})" in words, done.output
    assert "Traceback" not in done.output
    assert "pytest_ari_sla/" not in done.output
    if done.report is not None:
        assert sum(scenario["calls"]["requested"] for scenario in done.report["scenarios"]) == 0


# --- the address of ARI ---


def test_a_refused_port(session: Session) -> None:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    write_load(session)
    done = session.run("--ari-url", f"http://u:p@127.0.0.1:{port}")
    assert_refused(
        done,
        rf"127\.0\.0\.1:{port} refused the connection; is Asterisk running.*http\.conf.*bindport",
        culprit="the network",
    )


def test_a_host_that_does_not_exist(session: Session) -> None:
    """A name with a typing error."""
    write_load(session)
    done = session.run("--ari-url", "http://u:p@pbx.invalid:8088")
    assert_refused(done, r"'pbx\.invalid'", culprit="the network")


def test_a_wrong_password(session: Session, simulator: SimulatorProcess) -> None:
    """User and file to check are named; the password is not shown."""
    write_load(session)
    done = session.run("--ari-url", simulator.url.replace("//", f"//{simulator.user}:wr0ng-passw0rd@"))
    assert_refused(done, r"refused .* for user 'ari-sla' \(401\); check --ari-user .* ari\.conf", culprit="Asterisk")
    assert "wr0ng" not in done.output


def test_no_password_at_all(session: Session, simulator: SimulatorProcess) -> None:
    """The places where one can be given are named."""
    write_load(session)
    done = session.run("--ari-url", simulator.url, "--ari-user", "someone")
    assert_refused(done, r"password for the user 'someone': .*--ari-password-file.*ARI_PASSWORD", culprit="your test")


def test_a_wrong_path(session: Session, simulator: SimulatorProcess) -> None:
    """Something answers, but ARI is elsewhere."""
    write_load(session)
    url = simulator.url.replace("//", f"//{simulator.user}:{simulator.password}@")
    done = session.run("--ari-url", url.removesuffix("/ari") + "/asterisk/ari")
    assert_refused(done, r"but not ARI: .*404.*check the URL's path \(prefix in http\.conf\)", culprit="Asterisk")


def test_a_web_server_that_is_no_asterisk(session: Session) -> None:
    """Any HTTP server."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        write_load(session)
        done = session.run("--ari-url", f"http://u:p@127.0.0.1:{server.server_port}")
        server.shutdown()
    assert_refused(done, r"something answers at http://127\.0\.0\.1:\d+/ari, but not ARI", culprit="Asterisk")


def test_tls_where_there_is_none(session: Session, simulator: SimulatorProcess) -> None:
    """The URL of a plain port begins with https."""
    write_load(session)
    url = simulator.url.replace("http://", f"https://{simulator.user}:{simulator.password}@")
    done = session.run("--ari-url", url)
    assert_refused(done, r"does not speak TLS; use http://", culprit="the network")


@contextmanager
def tls_server() -> Iterator[int]:
    """Accept TLS connections with a certificate of an unknown CA; give the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    context.wrap_socket(connection, server_side=True).close()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_that_nobody_vouches_for(session: Session) -> None:
    """The option that names its CA is told."""
    write_load(session)
    with tls_server() as port:
        done = session.run("--ari-url", f"https://u:p@127.0.0.1:{port}")
    assert_refused(done, r"certificate of 127\.0\.0\.1:\d+ is not trusted: .*--ari-ca-file", culprit="the network")


def test_a_server_that_never_answers(session: Session) -> None:
    """It accepts the connection and says nothing: the session ends by itself."""
    write_load(session)
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = session.run("--ari-url", f"http://u:p@127.0.0.1:{server.getsockname()[1]}")
    assert_refused(
        done, r"got no answer from ARI at .* within \d+ s; Asterisk is overloaded or hangs", culprit="Asterisk"
    )


# --- names and values ---


WORDS = {
    'calls=1, duration="1s", topology="eco"': "unknown topology 'eco'; did you mean echo?",
    'calls=1, duration="1s", topology="caller", via="sip", to="700"': "the simulator has no SIP",
    'calls=1, duration="1s", codec="PCMX"': "unknown codec 'PCMX'; did you mean PCMU or PCMA?",
    'calls=1, duration="1s", packet_time="25ms"': "codec PCMU has no packet time of 25 ms; it has 20",
    'calls=1, duration="1s", packet_time="0ms"': "packet_time='0ms' is not a whole number",
    'calls=1, duration="1s", topology=None': "topology=None is not a text",
    'calls=1, duration="1s", until=5': "until=5 is not a text",
    'calls=1, duration="1s", peer_faults=["mute"]': "peer_faults=['mute']: that is shares by names",
    'calls=10**9, duration="1s"': "asks for 1,000,000,000 calls at a time; a load can have 1,000,000 at most",
    'calls=0, duration="1s"': "this load makes no call: it asks for 0 calls; ask for at least one",
    'calls=1, duration="soon"': "'soon' is not a duration; write it like 30s",
    "calls=1": "needs calls and duration, or stages",
}


def test_words_of_a_load_that_mean_nothing(session: Session) -> None:
    """Each is told with the test's own line, and the nearest names that there are."""
    for number, words in enumerate(WORDS):
        session.write(f"test_{number}.py", LOAD.format(words=words, mark=""))
    done = session.run()
    assert_refused(done, *map(re.escape, WORDS.values()), culprit="your test")
    for words in WORDS:
        assert f"await load({words})" in done.output


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [("rt.p99 < 60ms", "unknown metric 'rt'; did you mean rtt"), ("rtt.p99 < 60parsecs", "unknown unit 'parsecs'")],
)
def test_a_threshold_in_a_marker_that_means_nothing(session: Session, expression: str, sentence: str) -> None:
    """It stops the session at collection, and names the test."""
    write_load(session, mark=f'@pytest.mark.sla("{expression}")')
    done = session.run()
    assert (done.exit_code, done.report) == (4, None)
    assert f"test_load.py::test_calls: mark.sla: {sentence}" in done.output


# --- limits ---


def test_more_ports_than_the_range_holds(session: Session) -> None:
    """Both numbers, and the option that widens it."""
    write_load(session, 'calls=2000, duration="1s"')
    done = session.run("--ari-rtp-ports", "20480-20483")
    assert_refused(
        done, r"2,000 calls need \d+ pairs .* 20480-20483 holds 2; widen it with --ari-rtp-ports", culprit="this tool"
    )


def test_ports_that_others_use(session: Session) -> None:
    """The range is large enough, but taken."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        taken[0].bind(("127.0.0.1", 0))
        low = taken[0].getsockname()[1] & ~1
        taken[1].bind(("127.0.0.1", low + 2))
        write_load(session)
        done = session.run("--ari-rtp-ports", f"{low}-{low + 3}")
    assert_refused(done, r"no free RTP port pair in \d+-\d+: .* 2 in use by other programs", culprit="this tool")


def test_a_limit_of_open_files_that_is_too_low(session: Session) -> None:
    """What is needed, what there is, and where to raise it."""
    session.write("conftest.py", "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))")
    write_load(session)
    done = session.run()
    assert_refused(
        done, r"2 calls need \d+ open files .* allows 256; raise the hard limit \(ulimit -Hn", culprit="this tool"
    )


def test_an_asterisk_without_external_media(session: Session) -> None:
    """The missing module is named, and where to load it."""
    with PrivateAsterisk(provisioned_folder("22"), without_modules=["chan_rtp"]) as asterisk:
        session.asterisk = asterisk
        write_load(session)
        done = session.run()
    assert_refused(done, r"does not run chan_rtp, so it has no ExternalMedia .*modules\.conf", culprit="Asterisk")


def test_an_asterisk_whose_rtp_range_is_too_small(session: Session) -> None:
    """With the numbers, before it crashes; it still runs."""
    with PrivateAsterisk(provisioned_folder("22"), rtp_ports=(10_000, 10_031)) as asterisk:
        session.asterisk = asterisk
        write_load(session, 'calls=10, duration="1s"')
        done = session.run()
        assert asterisk.alive
    assert_refused(
        done, r"10 calls need 18 pairs of RTP ports .* 10000-10031 holds 16; widen .*rtp\.conf", culprit="Asterisk"
    )


def test_an_asterisk_with_too_few_sessions(session: Session) -> None:
    """With the numbers: connections refused in mid-run would look like failed calls."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    http_conf = f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {port}\nsessionlimit = 12\n"
    with PrivateAsterisk(provisioned_folder("22"), ari_port=port, files={"http.conf": http_conf}) as asterisk:
        session.asterisk = asterisk
        write_load(session)
        done = session.run()
    assert_refused(done, r"sessionlimit in http\.conf", culprit="Asterisk")


# --- media ---


def test_media_that_never_comes_back(session: Session) -> None:
    """Calls come up, and not one packet comes: said as such, with what to check, not as 100 % loss."""
    extensions = "[default]\nexten => mute,1,Answer()\n same => n,Wait(60)\n"
    with PrivateAsterisk(provisioned_folder("22"), files={"extensions.conf": extensions}) as asterisk:
        session.asterisk = asterisk
        write_load(session)
        done = session.run("--ari-echo-extension", "mute@default")
        assert session.channels_left() == []
    words = " ".join(done.output.split())
    assert done.exit_code == 1
    assert re.search(
        r"accepted 2 calls, but not one RTP packet came back from it: it was told to send to 127\.0\.0\.1; "
        r"is that address, and the UDP port range \d+-\d+, reachable from Asterisk \(--ari-media-host",
        words,
    )
    assert "(at fault: the network)" in words
    assert "Traceback" not in done.output


def test_paths_of_options_leave_the_root_of_a_project_alone(session: Session) -> None:
    """In the form that the README shows, no path of an option is taken for one to tests."""
    (session.folder / "pytest.ini").unlink()
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (option,) = re.findall(r"^\$ pytest (--asterisk.*) scenarios/", readme, re.MULTILINE)
    (session.folder / "scenarios").mkdir()
    session.write("scenarios/test_nothing.py", "def test_nothing(): pass")
    done = session.run(*option.replace("/usr/sbin/asterisk", sys.executable).split(), "scenarios/", "--collect-only")
    assert f"rootdir: {session.folder}\n" in done.output
