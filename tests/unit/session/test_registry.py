"""What plug-ins register: found by name, refused with the plug-in's name, and unknown everywhere once it is gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from pytest_ari_sla.codecs import builtin as codecs
from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.errors import ThresholdSyntaxError, UnknownName, UsageError
from pytest_ari_sla.hookspecs import hooks as hookspecs
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.session.plugins.registry import Registry, builtin_registry, register_builtins
from pytest_ari_sla.sla.threshold import parse
from pytest_ari_sla.topologies import builtin as topologies
from pytest_ari_sla.topologies.echo import Echo
from pytest_ari_sla.trackers.builtin import BuiltinTrackers
from tests.reference_page import reference_page

BUILTIN = builtin_registry()


def registry_with(**hooks: Any) -> Registry:
    """Return a registry of the built-ins and of a plug-in ``acme`` that answers these hooks so."""
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    register_builtins(manager)
    functions = {f"pytest_ari_sla_register_{kind}": pytest.hookimpl(answer) for kind, answer in hooks.items()}
    manager.register(SimpleNamespace(**functions), "acme")
    return Registry.from_plugins(manager)


class Tracker:
    """A tracker as far as the registry looks at it."""

    name = "mine"
    metrics: Any = ()

    def begin(self, context: object) -> None:
        """Nothing."""

    observe = advance = release = snapshot = per_leg = begin


class Renamed(Tracker):
    """One with the name of another."""

    name = "loss"


class WithMetric(Tracker):
    """One that measures what another one does."""

    metrics = (Metric("rtt", "distribution", "s", "Mine"),)


class WithText(Tracker):
    """One that names its metrics only."""

    metrics = ("rtt",)


class Topology(Echo):
    """A topology that hears a leg it does not have."""

    name = "mine"
    heard_leg = (3,)


@pytest.mark.parametrize("name", ["PCMU", "pcmu", "ulaw", "ULAW"])
def test_codecs_are_found_by_both_their_names(name: str) -> None:
    """That of RTP, and Asterisk's, in any case."""
    assert BUILTIN.codec(name).name == "PCMU"


def test_an_unknown_name_comes_with_the_nearest_known_ones() -> None:
    """So that a slip of the finger is repaired at once."""
    with pytest.raises(UnknownName, match="did you mean conference"):
        BUILTIN.topology("conferense")
    with pytest.raises(UnknownName, match="did you mean G722"):
        BUILTIN.codec("G772")


def test_what_a_plugin_registers_is_there() -> None:
    """Beside the built-ins, with its owner and its metrics."""

    class Own(Tracker):
        metrics = (Metric("mine.size", "count", "count", "Mine"),)

    registry = registry_with(trackers=lambda: [Own()])
    assert registry.owners["mine"] == "acme"
    assert registry.catalogue.owner("mine.size") == "tracker 'mine' of acme"
    assert registry.trackers.keys() == BUILTIN.trackers.keys() | {"mine"}


@pytest.mark.parametrize(
    ("kind", "answer", "message"),
    [
        ("trackers", None, "plug-in 'acme' must return a list of tracker objects from .*, not None"),
        ("trackers", [7], "plug-in 'acme' registered 7 as a tracker, but it has no name, observe"),
        ("trackers", [Renamed()], "two plug-ins register a tracker 'loss': ari-sla-trackers and acme"),
        ("trackers", [WithMetric()], "metric 'rtt' is declared twice: by tracker 'latency' of ari-sla-trackers and by"),
        (
            "trackers",
            [WithText()],
            r"but its metrics are \('rtt',\), not Metrics; see .*register_trackers",
        ),
        ("codecs", [pcmu()], "two plug-ins register a codec 'PCMU': ari-sla-codecs and acme"),
        ("topologies", [Echo()], "two plug-ins register a topology 'echo': ari-sla-topologies and acme"),
        ("topologies", [Topology()], r"but its heard_leg is \(3,\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_plugins_name(kind: str, answer: Any, message: str) -> None:
    """Before any call, and saying where to look."""
    with pytest.raises(UsageError, match=message):
        registry_with(**{kind: lambda: answer})


def test_a_hook_that_raises_is_told_with_the_plugins_name() -> None:
    """And with the hook's."""

    def broken() -> list[object]:
        raise LookupError("no licence")

    message = "plug-in 'acme' failed in pytest_ari_sla_register_codecs: LookupError: no licence"
    with pytest.raises(UsageError, match=message):
        registry_with(codecs=broken)


def section(title: str) -> str:
    """Return a section of the reference, as it would be generated now."""
    return reference_page().partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", BUILTIN.topologies)
def test_a_topology_that_is_not_registered_is_unknown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To load(), whose message tells all others, and to the reference: the built-in ones come by the hook alone."""
    kept = [topology for topology in topologies.pytest_ari_sla_register_topologies() if topology.name != name]
    monkeypatch.setattr(topologies, "pytest_ari_sla_register_topologies", pytest.hookimpl(lambda: kept))
    registry = builtin_registry()
    with pytest.raises(UnknownName) as unknown:
        registry.topology(name)
    assert str(unknown.value).endswith(f"known: {', '.join(sorted(BUILTIN.topologies.keys() - {name}))}")
    assert f"`{name}`" not in section("Built-in topologies")


@pytest.mark.parametrize("name", BUILTIN.codecs)
def test_a_codec_that_is_not_registered_is_unknown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By both its names, to load() and to the reference; all others are told."""
    removed = BUILTIN.codec(name)
    kept = [codec for codec in codecs.pytest_ari_sla_register_codecs() if codec.name != name]
    monkeypatch.setattr(codecs, "pytest_ari_sla_register_codecs", pytest.hookimpl(lambda: kept))
    registry = builtin_registry()
    for known_as in (name, removed.asterisk_format):
        with pytest.raises(UnknownName) as unknown:
            registry.codec(known_as)
        assert str(unknown.value).endswith(f"known: {', '.join(sorted(BUILTIN.codecs.keys() - {name}))}")
    assert f"`{name}`" not in section("Built-in codecs")


@pytest.mark.parametrize("name", BUILTIN.trackers)
def test_the_metrics_of_a_tracker_that_is_not_registered_are_unknown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the catalogue, and so in thresholds, reports and the reference; all other trackers do without it."""
    trackers = BuiltinTrackers().pytest_ari_sla_register_trackers()
    kept = [tracker for tracker in trackers if tracker.name != name]
    (removed,) = (tracker for tracker in trackers if tracker.name == name)
    hook = pytest.hookimpl(lambda self: kept)
    monkeypatch.setattr(BuiltinTrackers, "pytest_ari_sla_register_trackers", hook)
    registry = builtin_registry()
    assert name not in registry.trackers
    assert f"`{name}`" not in section("Built-in trackers")
    for metric in removed.metrics:
        assert metric.name not in registry.catalogue
        assert f"`{metric.name}`" not in section("Metrics")
        with pytest.raises(ThresholdSyntaxError, match="unknown metric"):
            parse(f"{metric.name}{'.p99' if metric.kind == 'distribution' else ''} < 1", registry.catalogue)
