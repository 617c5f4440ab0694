"""Everything that plug-ins registered, by name, and the catalogue of metrics that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from pytest_ari_sla.codecs import builtin as codecs
from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.hookspecs import hooks as hookspecs
from pytest_ari_sla.metrics.catalogue import core_catalogue
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.peers.relay.relay_group import RELAY_METRICS
from pytest_ari_sla.rtp_media import builtin as rtp_transport
from pytest_ari_sla.session.plugins.hook_calls import HookCalls, ask
from pytest_ari_sla.stream_media import builtin as stream_transports
from pytest_ari_sla.topologies import builtin as topologies
from pytest_ari_sla.trackers.builtin import BuiltinTrackers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.topology import Topology
    from pytest_ari_sla.hookspecs.tracker import Tracker
    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.media.transport import MediaTransport

__all__ = ["Registry", "builtin_registry", "register_builtins"]


class Registry:
    """The codecs, trackers and topologies of a session.

    Attributes
    ----------
    codecs, topologies, trackers, transports, peer_faults
        By name.
    catalogue
        All metrics: the core's and every tracker's.
    owners
        Which plug-in a tracker came from, by the tracker's name.
    hook_calls
        Tells plug-ins what happens.
    """

    def __init__(
        self,
        codecs: Mapping[str, Codec],
        topologies: Mapping[str, Topology],
        trackers: Mapping[str, Tracker],
        transports: Mapping[str, MediaTransport],
        peer_faults: Mapping[str, PeerFault],
        owners: Mapping[str, str],
        calls: HookCalls,
    ) -> None:
        self.codecs = codecs
        self.topologies = topologies
        self.trackers = trackers
        self.transports = transports
        self.peer_faults = peer_faults
        self.owners = owners
        self.hook_calls = calls
        self.catalogue = core_catalogue()
        self.catalogue.register(RELAY_METRICS, "the relay")
        for name, tracker in trackers.items():
            self.catalogue.register(tracker.metrics, f"tracker {name!r} of {owners[name]}")

    @classmethod
    def from_plugins(cls, manager: pluggy.PluginManager) -> Registry:
        """Ask all plug-ins what they add.

        Raises
        ------
        UsageError
            A plug-in returned something else than it should, or a name is taken; both owners are named.
        """
        hooks = manager.hook
        found_codecs, _ = _collect(hooks.pytest_ari_sla_register_codecs, "codec", ("encode", "decode", "payload_type"))
        found_topologies, _ = _collect(hooks.pytest_ari_sla_register_topologies, "topology", ("establish", "heard_leg"))
        trackers, owners = _collect(
            hooks.pytest_ari_sla_register_trackers, "tracker", ("observe", "advance", "snapshot", "metrics")
        )
        found_transports, _ = _collect(
            hooks.pytest_ari_sla_register_transports, "transport", ("open", "port_pairs", "needs")
        )
        faults, _ = _collect(hooks.pytest_ari_sla_register_peer_faults, "peer_fault", ("steps", "transports"))
        return cls(found_codecs, found_topologies, trackers, found_transports, faults, owners, HookCalls(hooks))

    def codec(self, name: str) -> Codec:
        """Return the codec of that name, in any case, or of Asterisk's name for it.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        for codec in self.codecs.values():
            if name.lower() in (codec.name.lower(), codec.asterisk_format.lower()):
                return codec
        raise UnknownName("codec", name, self.codecs)

    def topology(self, name: str) -> Topology:
        """Return the topology of that name.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        if name not in self.topologies:
            raise UnknownName("topology", name, self.topologies)
        return self.topologies[name]

    def transport(self, name: str) -> MediaTransport:
        """Return the media transport of that name.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        if name not in self.transports:
            raise UnknownName("transport", name, self.transports)
        return self.transports[name]


def register_builtins(manager: pluggy.PluginManager) -> None:
    """Register what comes with the tool, by the hooks that anybody uses."""
    manager.register(codecs, "ari-sla-codecs")
    manager.register(topologies, "ari-sla-topologies")
    manager.register(rtp_transport, "ari-sla-transport-rtp")
    manager.register(stream_transports, "ari-sla-transports-streams")
    manager.register(BuiltinTrackers(), "ari-sla-trackers")


def builtin_registry() -> Registry:
    """Return a registry without other plug-ins, for use outside pytest."""
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    register_builtins(manager)
    return Registry.from_plugins(manager)


def _collect(hook: Any, kind: str, needed: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """Call a hook plug-in by plug-in, so that each object's owner is known."""
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for plugin, item in _registered(hook, kind):
        missing = [name for name in ("name", *needed) if not hasattr(item, name)]
        problem = f"it has no {', '.join(missing)}" if missing else _problem_of(kind, item)
        if problem:
            raise UsageError(
                f"plug-in {plugin!r} registered {item!r} as a {kind}, but {problem}; "
                f"see what pytest_ari_sla.hookspecs.hooks says of {hook.name}"
            )
        if item.name in found:
            raise UsageError(f"two plug-ins register a {kind} {item.name!r}: {owners[item.name]} and {plugin}")
        found[item.name] = item
        owners[item.name] = plugin
    return found, owners


def _problem_of(kind: str, item: Any) -> str:
    """Return what is wrong with an object that has all it needs; an empty string where nothing is."""
    if not isinstance(item.name, str) or not item.name:
        return f"its name is {item.name!r}"
    if kind == "codec" and (not isinstance(item.payload_type, int) or not 0 <= item.payload_type < 128):
        return f"its payload_type is {item.payload_type!r}"
    if kind == "tracker" and not all(isinstance(metric, Metric) for metric in item.metrics):
        return f"its metrics are {item.metrics!r}, not Metrics"
    if kind == "topology":
        legs = range(-1, len(item.heard_leg))
        if not item.heard_leg or not all(leg in legs for leg in item.heard_leg):
            return f"its heard_leg is {item.heard_leg!r}"
    return ""


def _registered(hook: Any, kind: str) -> Iterator[tuple[str, Any]]:
    for plugin, items in ask(hook):
        if not isinstance(items, list | tuple):
            raise UsageError(f"plug-in {plugin!r} must return a list of {kind} objects from {hook.name}, not {items!r}")
        for item in items:
            yield plugin, item
