"""Sessions from which built-ins were removed: what is left works, and what is gone is known nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.session.plugins.registry import builtin_registry

if TYPE_CHECKING:
    from tests.sessions.session import Session

BUILTIN = builtin_registry()
ONE_OF_EACH = """
    from pytest_ari_sla.codecs.g711 import pcmu
    from pytest_ari_sla.topologies.echo import Echo

    def pytest_ari_sla_register_codecs():
        return [pcmu()]

    def pytest_ari_sla_register_topologies():
        return [Echo()]
"""
REMOVED = '''
    import pytest
    from pytest_ari_sla.errors import UsageError

    @pytest.mark.parametrize("topology", {topologies})
    async def test_topology(load, topology):
        """It is as unknown as any."""
        with pytest.raises(UsageError, match=f"unknown topology '{{topology}}'; .*known: echo$"):
            await load(calls=1, duration="1s", topology=topology)

    @pytest.mark.parametrize("codec", {codecs})
    async def test_codec(load, codec):
        """It is as unknown as any."""
        with pytest.raises(UsageError, match=f"unknown codec '{{codec}}'; .*known: PCMU$"):
            await load(calls=1, duration="1s", codec=codec)

    async def test_load(load):
        """What was registered again is all that there is, and enough."""
        await load(calls=2, duration="1s")
'''

LOAD = '''
    async def test_load(load):
        """A small load."""
        await load(calls=2, duration="2s")
'''


def without(*kinds: str) -> list[str]:
    """Return the options that remove these built-ins."""
    return [word for kind in kinds for word in ("-p", f"no:ari-sla-{kind}")]


def test_a_session_knows_what_is_registered_and_nothing_else(session: Session) -> None:
    """One codec and one topology, registered by a team: a load works, and all others are refused by name."""
    session.write("conftest.py", ONE_OF_EACH)
    topologies, codecs = sorted(BUILTIN.topologies.keys() - {"echo"}), sorted(BUILTIN.codecs.keys() - {"PCMU"})
    session.write("test_removed.py", REMOVED.format(topologies=topologies, codecs=codecs))
    done = session.run(*without("codecs", "topologies"), "--sla-inconclusive", "pass")
    assert done.count("passed") == len(topologies) + len(codecs) + 1, done.output
    assert done.scenarios["test_load"]["metrics"]["loss"]["lost"] == 0


def test_loads_need_no_tracker(session: Session) -> None:
    """Without any, calls are made and judged all the same, and no metric of a tracker is reported."""
    session.write("test_load.py", LOAD)
    done = session.run(*without("trackers"), "--sla", "calls.success_ratio >= 100%", "--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    scenario = done.scenarios["test_load"]
    measured = {name.partition(".")[0] for tracker in BUILTIN.trackers.values() for name in names(tracker)}
    assert not measured & scenario["metrics"].keys()
    assert scenario["calls"]["established"] == 2


def names(tracker: object) -> list[str]:
    """Return the names of a tracker's metrics."""
    return [metric.name for metric in getattr(tracker, "metrics", ())]


def test_a_threshold_on_a_removed_tracker_stops_collection(session: Session) -> None:
    """As one on a metric that never was."""
    session.write("test_load.py", LOAD)
    done = session.run(*without("trackers"), "--sla", "rtt.p99 < 1s")
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "unknown metric 'rtt" in done.output
