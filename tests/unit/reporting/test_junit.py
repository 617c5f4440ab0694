from xml.etree import ElementTree

from pytest_ari_sla.reporting.ci.junit import junit_properties
from pytest_ari_sla.reporting.record.run_record import Scenario
from tests.unit.reporting.factory import make_scenario


def test_verdict_thresholds_and_metrics_become_properties() -> None:
    """A CI system can show and plot them."""
    properties = dict(junit_properties(make_scenario("fail")))
    assert properties["sla.verdict"] == "fail"
    assert properties["sla.threshold[rtt.p99 < 20ms]"] == "fail: 32.4 ms"
    assert float(properties["sla.rtt.p99"]) > 0.02
    assert properties["sla.calls.failed"] == "1"


def test_hostile_text_leaves_the_xml_readable() -> None:
    """Control characters are not allowed in XML at all."""
    hostile = "\x00\x1b]]><a>\ud800\ufffe"
    scenario = Scenario(nodeid="t", verdict="fail", reason=hostile, metrics={hostile: {"value": 1}})
    properties = ElementTree.Element("properties")
    for name, value in junit_properties(scenario):
        ElementTree.SubElement(properties, "property", name=name, value=value)
    back = ElementTree.fromstring(ElementTree.tostring(properties, "utf-8"))
    assert back[1].get("value") == "␀␛]]><a>��"
