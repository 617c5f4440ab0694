import sys
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pytest_ari_sla.errors import HarnessError, UsageError
from pytest_ari_sla.reporting.live.live_state import LiveFigure
from pytest_ari_sla.reporting.live.prometheus import PrometheusEndpoint
from tests.unit.reporting.live_states import live_state


@pytest.fixture
def endpoint() -> Iterator[PrometheusEndpoint]:
    """Return an endpoint on a free port."""
    endpoint = PrometheusEndpoint(0)
    yield endpoint
    endpoint.close()


def scraped(endpoint: PrometheusEndpoint) -> dict[tuple[str, ...], float]:
    """Return what a scrape sees: values by name and labels (without the scenario)."""
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=5) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "scenario")): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_scrape_sees_the_latest_state(endpoint: PrometheusEndpoint) -> None:
    """Calls, percentiles, health and thresholds, in base units."""
    endpoint.update(live_state(calls_now=1))
    endpoint.update(live_state())
    samples = scraped(endpoint)
    assert samples["ari_sla_calls_up",] == 998
    assert samples["ari_sla_calls_failed_total",] == 2
    assert samples["ari_sla_rtt_seconds", "0.99", "recent"] == 0.0312
    assert samples["ari_sla_loss_ratio", "whole"] == 0.00012
    assert samples["ari_sla_pacing_error_seconds", "2"] == 0.0071
    assert samples["ari_sla_receive_drops_total", "2"] == 12
    assert samples["ari_sla_threshold_holds", "rtt.p99 < 15ms"] == 0
    assert ("ari_sla_threshold_holds", "mos.p1 >= 4.0") not in samples, "not known yet is not broken"


def test_a_metric_of_a_plugin_has_its_value_whatever_its_kind(endpoint: PrometheusEndpoint) -> None:
    """A count is a counter, for rate(); a ratio is a gauge, now and so far."""
    counted = LiveFigure("acme.oops", "count", recent=2, whole=7, is_count=True)
    ratio = LiveFigure("acme.share", "ratio", recent=0.5, whole=0.25)
    endpoint.update(live_state(figures=(counted, ratio)))
    samples = scraped(endpoint)
    assert samples["ari_sla_acme_oops_total",] == 7
    assert (samples["ari_sla_acme_share_ratio", "recent"], samples["ari_sla_acme_share_ratio", "whole"]) == (0.5, 0.25)


def test_after_a_load_no_call_is_up_and_its_counts_stay(endpoint: PrometheusEndpoint) -> None:
    """The next scrape may come later than its end: the dashboard must not show calls until the next load."""
    endpoint.clear()
    endpoint.update(live_state())
    endpoint.clear()
    samples = scraped(endpoint)
    assert (samples["ari_sla_calls_up",], samples["ari_sla_calls_wanted",]) == (0, 0)
    assert samples["ari_sla_calls_established_total",] == 1012


def test_before_the_first_state_there_is_nothing_to_see(endpoint: PrometheusEndpoint) -> None:
    """A scrape succeeds all the same."""
    assert scraped(endpoint) == {}


def test_hostile_names_leave_the_format_readable(endpoint: PrometheusEndpoint) -> None:
    """Names of metrics are made of safe characters, labels are escaped."""
    figure = LiveFigure("a b\nc{x}", "s", 1.0, None, None, None)
    endpoint.update(live_state(scenario='t"\n\\\x1b', figures=(figure,)))
    assert scraped(endpoint)["ari_sla_a_b_c_x__seconds", "0.5", "recent"] == 1


def test_a_port_that_is_taken_is_named(endpoint: PrometheusEndpoint) -> None:
    """The message says which, and why."""
    with pytest.raises(HarnessError, match=f"127.0.0.1:{endpoint.port}: Address already in use"):
        PrometheusEndpoint(endpoint.port)


def test_without_the_library_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match=r"pip install 'pytest-ari-sla\[prometheus\]'"):
        PrometheusEndpoint(0)
