"""A small process that removes what its parent would leave behind, when the parent died without doing so.

Run as ``python -m pytest_ari_sla.children.guard PARENT --control-fd CHANNEL`` by :mod:`.guarding`. A parent that is
killed (SIGKILL, out of memory) or crashes runs no exit handler; this process does its work then, and ends. It learns of
the death by the end of the channel, which the kernel closes, or by the parent's process file descriptor: a child that
the parent forked can hold the channel open.

Credentials come over the channel and stay in memory.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.ari_client.removal.sweep import Sweeper
from pytest_ari_sla.ari_client.tls import held_trust, tls_context
from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import inherited_control
from pytest_ari_sla.children.wards import EndProgram, Order, Release, RemoveFolder, RemoveResources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Wards", "main"]

GRACE_S = 3.0
"""How long a program may take to end before it is killed."""

PATIENCE_S = 8.5
"""How long Asterisk may be out of reach; after that the guard gives up, within ten seconds of the death."""

_UNHEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What ends a whole session of processes at once shall not end the one that clears up after it."""


class Wards:
    """What is guarded now."""

    def __init__(self) -> None:
        self._programs: set[int] = set()
        self._folders: dict[int, str] = {}
        self._sweepers: dict[int, Callable[[], object]] = {}
        self._handles: dict[int, int] = {}

    def take(self, order: Order, handle: int | None) -> None:
        """Take an order."""
        if handle is not None:
            self._handles[order.number] = handle
        match order:
            case EndProgram(number=number) if handle is not None:
                self._programs.add(number)
            case RemoveFolder(number=number, path=path):
                self._folders[number] = path
            case RemoveResources(number=number):
                self._sweepers[number] = partial(_sweep, order, handle)
            case Release(number=number):
                self._release(number)

    def _release(self, number: int) -> None:
        self._programs.discard(number)
        self._folders.pop(number, None)
        self._sweepers.pop(number, None)
        handle = self._handles.pop(number, None)
        if handle is not None:
            os.close(handle)

    def remove(self) -> None:
        """Remove everything, side by side: Asterisk may be slow to answer, and programs slow to end."""
        sweeping = [Thread(target=sweeper) for sweeper in self._sweepers.values()]
        for thread in sweeping:
            thread.start()
        # Before the folders: programs still write into theirs.
        end_programs(self._handles[number] for number in self._programs)
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)  # nobody is left who could be told
        for thread in sweeping:
            thread.join()


def _sweep(ward: RemoveResources, certificates: int | None) -> None:
    """Remove the resources; only now may anything be wrong with a certificate: what else is guarded has its own way."""
    tls = tls_context(ward.trust if certificates is None else held_trust(ward.trust, certificates))
    Sweeper(AriEndpoint(ward.url, ward.user, ward.password), tls).until_clean(ward.prefix, PATIENCE_S)


def end_programs(handles: Iterable[int]) -> None:
    """End programs by their process file descriptors, which name a process even when its number is used again."""
    left = set(handles)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for handle in left:
            # It has ended; or it is of another user, as under sudo, and must not keep the rest from being removed.
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(handle, number)
        deadline_s = time.monotonic() + GRACE_S
        while left and (wait_s := deadline_s - time.monotonic()) > 0:
            ended, _, _ = select.select(left, [], [], wait_s)
            left.difference_update(ended)


def hear(channel: Channel[Order], parent: int | None, wards: Wards) -> None:
    """Take orders until the parent is gone.

    Parameters
    ----------
    channel
        Where they come from.
    parent
        The parent's process file descriptor; None where it is dead already.
    wards
        Where they go.
    """
    watched = [channel.fileno(), *([] if parent is None else [parent])]
    is_dead = parent is None
    while True:
        # What the dead one said last still waits to be read.
        readable, _, _ = select.select(watched, [], [], 0 if is_dead else None)
        is_dead = is_dead or parent in readable
        if channel.fileno() in readable:
            received = channel.receive()
            if received is None:
                return
            wards.take(*received)
        elif is_dead:
            return


def _parent_handle(parent: int) -> int | None:
    """Return the parent's process file descriptor; None if it died while this process started."""
    if os.getppid() != parent:
        return None
    with suppress(ProcessLookupError):
        return os.pidfd_open(parent)
    return None


def main(arguments: Sequence[str]) -> None:
    """Guard; see the module."""
    for number in _UNHEARD:
        signal.signal(number, signal.SIG_IGN)
    parent = _parent_handle(int(arguments[0]))
    channel: Channel[Order] = Channel(inherited_control(int(arguments[-1])), Order)
    wards = Wards()
    hear(channel, parent, wards)
    os.chdir("/")  # a folder that somebody works in cannot be unmounted
    wards.remove()


if __name__ == "__main__":
    main(sys.argv[1:])
