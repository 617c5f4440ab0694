from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

SCENARIO = '''
import pytest

@pytest.mark.parametrize("codec", {codecs!r})
async def test_echo(load, codec):
    """Four callers talk to Echo()."""
    await load(calls=4, duration="2s", topology="echo", codec=codec)
'''

# ExternalMedia knows no SDP, so Asterisk takes codecs with a static payload type only (up to 34); it drops what arrives
# with a dynamic one, although it sends such packets itself.
STATIC = ["PCMU", "PCMA", "G722", "GSM"]
STATIC_ON_22 = [*STATIC, "L16"]  # 16 sends µ-law when it is asked for slin
DYNAMIC = ["L16/16000", "OPUS"]


def run_scenario(asterisk: PrivateAsterisk, codecs: list[str], folder: Path) -> tuple[int, str, list[dict[str, Any]]]:
    """Run an echo load per codec in a pytest of its own; return exit code, output and reported scenarios."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "test_scenario.py").write_text(SCENARIO.format(codecs=codecs))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--ari-url", asterisk.url]
    ended = subprocess.run(
        [*command, "--sla-report", str(folder / "report"), "--sla-inconclusive", "pass", str(folder)],
        cwd=folder,
        env=os.environ | {"ARI_USER": asterisk.endpoint.user, "ARI_PASSWORD": asterisk.endpoint.password},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    report = folder / "report" / "report.json"
    scenarios = json.loads(report.read_text())["scenarios"] if report.exists() else []
    return ended.returncode, ended.stdout + ended.stderr, scenarios


def check_all_heard(asterisk: PrivateAsterisk, codecs: list[str], folder: Path) -> None:
    """Assert that in every codec each packet came back, once and unchanged."""
    code, output, scenarios = run_scenario(asterisk, codecs, folder)
    assert code == 0, output
    assert sorted(scenario["codec"] for scenario in scenarios) == sorted(codecs)
    for scenario in scenarios:
        metrics = scenario["metrics"]
        assert metrics["loss"]["sent"] >= 4 * 95, scenario["codec"]
        assert metrics["loss"]["lost"] == 0, scenario["codec"]
        assert metrics["rtt"]["count"] == metrics["loss"]["sent"], scenario["codec"]


def test_every_codec_that_asterisk_22_takes_is_echoed(asterisk22: PrivateAsterisk, tmp_path: Path) -> None:
    """Packets of all codecs with a static payload type come back byte for byte, none lost."""
    check_all_heard(asterisk22, STATIC_ON_22, tmp_path)


@pytest.mark.soak
def test_every_codec_that_asterisk_16_takes_is_echoed(asterisk16: PrivateAsterisk, tmp_path: Path) -> None:
    """The same, but for linear PCM, which Asterisk 16 replaces by µ-law."""
    check_all_heard(asterisk16, STATIC, tmp_path)


@pytest.mark.parametrize("codec", DYNAMIC)
def test_codecs_that_asterisk_would_drop_are_refused(asterisk22: PrivateAsterisk, codec: str, tmp_path: Path) -> None:
    """Before the first call, and with the reason: nothing would come back, and no firewall is to blame."""
    code, output, scenarios = run_scenario(asterisk22, [codec], tmp_path)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"codec {codec} has the dynamic RTP payload type" in output
    assert [scenario["verdict"] for scenario in scenarios] == ["fail"]
    assert scenarios[0]["calls"]["requested"] == 0
