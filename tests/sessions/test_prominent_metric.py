"""A metric that a plug-in declares prominent is shown wherever the tool's own are: nothing in the core knows it."""

from __future__ import annotations

import json
import re
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sessions.session import Session

PLUGIN = """
    import numpy as np

    from pytest_ari_sla import Histogram, Metric

    class Likeness:
        '''How alike what a leg hears is to what it should: 90 %, and 10 % on the first leg.'''

        name = "likeness"
        metrics = (
            Metric(
                "likeness",
                "distribution",
                "ratio",
                "How alike audio is to what was sent",
                better="higher",
                resolution=1e-3,
                prominent=True,
                rank=5,
                title="Likeness of audio",
            ),
            Metric("odd.packets", "count", "count", "Packets of an odd number", prominent=True, title="Odd packets"),
        )

        def begin(self, context):
            self.values = np.full(context.legs, 900)
            self.values[0] = 100
            self.heard = np.zeros(context.legs, bool)
            self.likeness = Histogram()
            self.odd = 0

        def observe(self, batch):
            self.heard[batch.leg] = True
            self.likeness.record(self.values[batch.leg])
            self.odd += int(np.count_nonzero(batch.probe % 2))

        def advance(self, now_ns):
            pass

        def release(self, legs):
            pass

        def snapshot(self):
            return {"likeness": self.likeness, "odd.packets": self.odd}

        def per_leg(self):
            return {"likeness": np.where(self.heard, self.values / 1000, np.nan)}

    def pytest_ari_sla_register_trackers():
        return [Likeness()]
"""
LOAD = '''
    async def test_load(load):
        """A load long enough for charts."""
        await load(calls=4, duration="3s")
'''


def test_a_plugins_prominent_metric_is_shown_like_our_own(session: Session) -> None:
    """In the summary, HTML (tile and charts), Markdown, the comparison, and among the worst calls."""
    session.write("conftest.py", dedent(PLUGIN))
    session.write("test_load.py", LOAD)
    first = session.run("--sla-report", "first", "--sla-inconclusive", "pass")
    assert first.exit_code == 0, first.output
    done = session.run("--sla-report", "second", "--sla-inconclusive", "pass", "--sla-baseline", "first/report.json")
    assert done.exit_code == 0, done.output
    folder = session.folder / "second"
    page = (folder / "report.html").read_text()
    summary = (folder / "summary.md").read_text()
    (scenario,) = json.loads((folder / "report.json").read_text())["scenarios"]

    assert re.search(r"^ *likeness +\d", done.output, re.MULTILINE)  # the table of key figures
    assert re.search(r"Odd packets: \d", done.output)
    assert "Worst likeness of audio" in page
    assert 'id="s1-likeness"' in page
    assert 'id="s1-percentiles-likeness"' in page
    assert page.index('id="s1-likeness"') < page.index('id="s1-rtt"')  # by its rank
    assert "Worst likeness of audio" in summary
    assert "Odd packets" in summary
    compared = {item["metric"] for item in scenario["baseline"]["comparisons"]}
    assert {"likeness.mean", "odd.packets"} <= compared
    worst = [call["why"] for call in scenario["worst_calls"]]
    assert "Its likeness was 10 %, where 90 % is usual." in worst
