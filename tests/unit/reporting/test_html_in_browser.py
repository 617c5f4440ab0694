"""The report in a real browser: whether it draws, and whether it leaves the network alone."""

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_ari_sla.reporting.formats.html import render_html
from tests.unit.reporting.factory import make_record, make_scenario

QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-extensions"
).split()


class RecordingProxy:
    """Takes every connection that the browser tries to make, and remembers its first line."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                self.requests.append(connection.recv(1024).decode("latin-1").partition("\r\n")[0])


@pytest.fixture
def proxy() -> Iterator[RecordingProxy]:
    """Return a proxy that the browser has to use."""
    proxy = RecordingProxy()
    yield proxy
    proxy.close()


def browsed(page: Path, proxy: RecordingProxy, folder: Path) -> str:
    """Return the page's content after its scripts have run."""
    chromium = shutil.which("chromium")
    if chromium is None:
        assert "CI" not in os.environ, "CI has to install chromium"
        pytest.skip("chromium is not installed")
    options = [f"--user-data-dir={folder / 'profile'}", f"--proxy-server={proxy.address}", "--virtual-time-budget=8000"]
    command = [chromium, *QUIET, *options, "--proxy-bypass-list=<-loopback>", "--dump-dom", page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout


def test_all_charts_are_drawn_and_nothing_is_asked_of_the_network(tmp_path: Path, proxy: RecordingProxy) -> None:
    """Every chart that is not folded away has its picture; the browser reaches for nothing on the page's behalf."""
    page = tmp_path / "report.html"
    page.write_text(render_html(make_record(make_scenario("fail", calls=200), make_scenario("pass", calls=5))))
    content = browsed(page, proxy, tmp_path)
    charts = re.findall(r'<div class="chart" id="([^"]+)"[^>]*>(<div[^>]*><(?:svg|canvas)\b)?', content)
    assert len(charts) > 10
    assert [name for name, picture in charts if not picture] == []
    # A browser of its own accord asks its maker for updates now and then, whatever it is told; the page does not.
    assert [request for request in proxy.requests if "google" not in request and "gvt" not in request] == []


def test_the_proxy_would_have_seen_a_request(tmp_path: Path, proxy: RecordingProxy) -> None:
    """The test above is able to fail."""
    page = tmp_path / "page.html"
    page.write_text('<img src="http://198.51.100.1/pixel.png">')
    browsed(page, proxy, tmp_path)
    assert "GET http://198.51.100.1/pixel.png HTTP/1.1" in proxy.requests


def test_hostile_text_runs_no_script(tmp_path: Path, proxy: RecordingProxy) -> None:
    """Neither the page nor its charts take text from the network as code."""
    scenario = make_scenario("fail", calls=3)
    attack = "<img src=http://198.51.100.1/x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    scenario.nodeid = scenario.reason = scenario.stages[0].name = attack
    scenario.call_table[0].id = scenario.worst_calls[0].id = attack
    assert scenario.call_grid
    scenario.call_grid.calls[0] = attack
    page = tmp_path / "report.html"
    page.write_text(render_html(make_record(scenario)))
    content = browsed(page, proxy, tmp_path)
    assert "<title>owned" not in content
    assert not any("198.51.100.1" in request for request in proxy.requests)
