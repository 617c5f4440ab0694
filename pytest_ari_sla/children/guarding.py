"""Asks the guard of this process to remove things in case that we cannot; one guard for all of them.

The guard (:mod:`.guard`) is started with the first ward and ends with the last one.
"""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import Child
from pytest_ari_sla.children.wards import Release

if TYPE_CHECKING:
    from pytest_ari_sla.children.wards import Ward

__all__ = ["Protection", "guard_pid", "protect"]


class Protection:
    """One ward under guard; :meth:`release` it when it is gone."""

    def __init__(self, guard: _Guard, number: int) -> None:
        self._guard = guard
        self._number = number

    def release(self) -> None:
        """Let the guard forget it; twice does no harm, nor does it in a forked child."""
        self._guard.release(self._number)


def protect(ward: Ward, handle: int | None = None) -> Protection:
    """Have something removed if this process ends without releasing it.

    Parameters
    ----------
    ward
        What; its number is given here.
    handle
        The process file descriptor of a program to end, or what :func:`pytest_ari_sla.ari_client.tls.held_certificates`
        returned; it stays the caller's.

    Raises
    ------
    OSError
        There can be no more processes: this one ward is not guarded.
    """
    return _guard_of_this_process().take(ward, handle)


def guard_pid() -> int | None:
    """Return the guard's process id; None while there is nothing to guard."""
    return _guard_of_this_process().pid


class _Guard:
    """The guard as the guarded process sees it; used from any of its threads."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._wards: dict[int, tuple[Ward, int | None]] = {}
        self._child: Child | None = None

    @property
    def owner(self) -> int:
        """Process id of the guarded process; another one's in a forked child."""
        return self._owner

    @property
    def pid(self) -> int | None:
        """The guard's process id."""
        return self._child.pid if self._child is not None else None

    def take(self, ward: Ward, handle: int | None) -> Protection:
        """Take something in."""
        with self._lock:
            number = next(self._numbers)
            # To tell a second guard, when the caller has closed its own.
            kept = None if handle is None else os.dup(handle)
            self._wards[number] = msgspec.structs.replace(ward, number=number), kept
            try:
                self._tell(*self._wards[number])
            except OSError:
                self._forget(number)  # nobody can release it; it would only be told to every guard from now on
                raise
            return Protection(self, number)

    def release(self, number: int) -> None:
        """Forget something, and end the guard with the last one."""
        if os.getpid() != self._owner:  # before the lock: a thread that was not forked may hold that for ever
            return
        with self._lock:
            if number not in self._wards:
                return
            self._forget(number)
            if self._wards:
                self._tell(Release(number), None)
            else:
                self._end()

    def _forget(self, number: int) -> None:
        _, handle = self._wards.pop(number)
        if handle is not None:
            os.close(handle)

    def _tell(self, order: msgspec.Struct, handle: int | None) -> None:
        """Send an order; a guard that somebody killed is replaced by one that hears everything again."""
        try:
            if self._child is not None:
                _send(self._child, order, handle)
                return
        except OSError:
            self._end()
        self._start()

    def _start(self) -> None:
        # A signal to our process group is not for it.
        self._child = Child("pytest_ari_sla.children.guard", [str(os.getpid())], apart=True)
        try:
            for ward, handle in self._wards.values():
                _send(self._child, ward, handle)
        except OSError:
            self._end()  # it does not know everything: the next order starts one that does
            raise

    def _end(self) -> None:
        """End the guard; at once, since one with nothing to guard has nothing to do."""
        if self._child is not None:
            self._child.kill()
        self._child = None


def _send(guard: Child, order: msgspec.Struct, handle: int | None) -> None:
    Channel[None](guard.control).send(order, handle)


_current = _Guard()


def _guard_of_this_process() -> _Guard:
    """Return our guard; a forked child gets one of its own."""
    global _current
    if _current.owner != os.getpid():
        _current = _Guard()
    return _current
