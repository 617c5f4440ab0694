"""Everything that plug-ins registered, by name, and the catalogue of metrics that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.metrics.catalogue import core_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest

    from pytest_ari_sla.hookspecs import Codec, Topology, Tracker

__all__ = ["Registry"]


class Registry:
    """The codecs, trackers and topologies of a session.

    Attributes
    ----------
    codecs, topologies, trackers
        By name.
    catalogue
        All metrics: the core's and every tracker's.
    owners
        Which plug-in a tracker came from, by the tracker's name.
    """

    def __init__(
        self,
        codecs: Mapping[str, Codec],
        topologies: Mapping[str, Topology],
        trackers: Mapping[str, Tracker],
        owners: Mapping[str, str],
    ) -> None:
        self.codecs = codecs
        self.topologies = topologies
        self.trackers = trackers
        self.owners = owners
        self.catalogue = core_catalogue()
        for name, tracker in trackers.items():
            self.catalogue.register(tracker.metrics, f"tracker {name!r} of {owners[name]}")

    @classmethod
    def from_plugins(cls, manager: pytest.PytestPluginManager) -> Registry:
        """Ask all plug-ins what they add.

        Raises
        ------
        UsageError
            A plug-in returned something else than it should, or a name is taken; both owners are named.
        """
        hooks = manager.hook
        codecs, _ = _collect(hooks.pytest_ari_sla_register_codecs, "codec", ("encode", "decode", "payload_type"))
        topologies, _ = _collect(hooks.pytest_ari_sla_register_topologies, "topology", ("establish", "heard_leg"))
        trackers, owners = _collect(
            hooks.pytest_ari_sla_register_trackers, "tracker", ("observe", "advance", "snapshot", "metrics")
        )
        return cls(codecs, topologies, trackers, owners)

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


def _collect(hook: Any, kind: str, needed: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """Call a hook plug-in by plug-in, so that each object's owner is known."""
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for plugin, item in _registered(hook, kind):
        missing = [name for name in ("name", *needed) if not hasattr(item, name)]
        if missing:
            raise UsageError(
                f"plug-in {plugin!r} registered {item!r} as a {kind}, but it has no {', '.join(missing)}; "
                f"see pytest_ari_sla.hookspecs.{kind.capitalize()}"
            )
        if item.name in found:
            raise UsageError(f"two plug-ins register a {kind} {item.name!r}: {owners[item.name]} and {plugin}")
        found[item.name] = item
        owners[item.name] = plugin
    return found, owners


def _registered(hook: Any, kind: str) -> Iterator[tuple[str, Any]]:
    for implementation in hook.get_hookimpls():
        plugin = str(implementation.plugin_name)
        items = implementation.function()
        if not isinstance(items, list | tuple):
            raise UsageError(f"plug-in {plugin!r} must return a list from {hook.name}, not {items!r}")
        for item in items:
            yield plugin, item
