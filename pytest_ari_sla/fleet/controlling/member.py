"""A worker of the fleet, as the controller sees it."""

from __future__ import annotations

from typing import Any

from pytest_ari_sla.children.dead_hosts import notice_dead_host_of
from pytest_ari_sla.fleet import messages as messages

__all__ = ["FleetMember"]


class FleetMember:
    """A worker as the controller sees it.

    Attributes
    ----------
    shard
        Which part of every load it makes.
    number
        Its own: a worker that replaces another one has its shard, but a new number, so that ids at Asterisk differ.
    node
        xdist's side of it.
    channel
        Where messages go.
    """

    def __init__(self, shard: int, number: int, node: Any) -> None:
        self.shard = shard
        self.number = number
        self.node = node
        self.channel = node.gateway.newchannel()
        notice_dead_host_of(node.gateway)

    def send(self, message: messages.ToWorker) -> None:
        """Tell the worker something; one that is gone hears nothing."""
        try:
            self.channel.send(messages.encode(message))
        except OSError:
            pass  # its end is an event of its own

    def kill(self) -> None:
        """End a worker that hangs; xdist notices, and starts another one."""
        # execnet has no public way: terminating a gateway asks the hanging process itself, and waits for it.
        connection = self.node.gateway._io
        connection.kill()
        if hasattr(connection, "sock"):
            connection.close_read()
