"""Leases of RTP port pairs: an even port for RTP and the odd one above it for RTCP, already bound.

Finding a free port and binding it later is a race; a lease therefore holds the two bound sockets. Who may use which
port is settled on three levels: within this process by :class:`~pytest_ari_sla.udp.port_table.PortTable`, between
the processes of one user by :class:`~pytest_ari_sla.udp.port_blocks.PortBlocks`, and against everything else by
the kernel: a port that a stranger has is skipped.
"""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.errors import PortsExhausted, UsageError
from pytest_ari_sla.udp.datagrams import open_udp_socket
from pytest_ari_sla.udp.host_limits import host_limit
from pytest_ari_sla.udp.port_blocks import PortBlocks, default_lock_folder
from pytest_ari_sla.udp.port_table import PortCounts, PortTable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from pytest_ari_sla.errors import SlaError

__all__ = ["DEFAULT_RTP_PORTS", "PortLease", "PortManager"]

# Above 10000-20000, which Asterisk's sample rtp.conf takes, and below 32768, where Linux begins to give ports out by
# itself (net.ipv4.ip_local_port_range): neither an Asterisk on this machine nor an outgoing connection comes across.
DEFAULT_RTP_PORTS = (20_480, 32_767)
# Longer than the three seconds after which a probe that is not back counts as lost.
_QUARANTINE_S = 5.0
_RTCP_BUFFER_BYTES = 1 << 16  # a peer reports once in about 5 s (RFC 3550, 6.2)
_RTP_BUFFER_BYTES = 4 << 20


class PortLease:
    """Two bound UDP sockets, non-blocking; a context manager that releases them.

    Attributes
    ----------
    port
        The even port, for RTP; RTCP has the one above.
    rtp_socket, rtcp_socket
        The sockets; closed by :meth:`release`.
    """

    def __init__(self, manager: PortManager, port: int, sockets: tuple[socket.socket, socket.socket]) -> None:
        self.port = port
        self.rtp_socket, self.rtcp_socket = sockets
        self._manager = manager

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Close the sockets and let the pair rest; twice does no harm."""
        self._manager._release(self)


class PortManager:
    """Leases port pairs of a range; safe to use from several threads.

    Parameters
    ----------
    low, high
        First and last port of the range.
    host
        The local address to bind.
    lock_folder
        Where processes agree on who has which ports; by default a folder of this user.
    quarantine_s
        How long a released pair rests.
    clock_ns
        A clock that never runs backwards, in ns.

    Raises
    ------
    UsageError
        If the range holds no pair, or the lock folder is somebody else's.
    """

    def __init__(
        self,
        low: int = DEFAULT_RTP_PORTS[0],
        high: int = DEFAULT_RTP_PORTS[1],
        host: str = "0.0.0.0",
        *,
        lock_folder: Path | None = None,
        quarantine_s: float = _QUARANTINE_S,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not 1 <= low < high <= 65_535 or low + low % 2 >= high:
            raise UsageError(f"{low}-{high} is not a range of RTP ports: it must hold an even port and the next one")
        self.low = low
        self.high = high
        self.host = host
        self._clock_ns = clock_ns
        self._quarantine_s = quarantine_s
        self._blocks = PortBlocks(low, high, lock_folder or default_lock_folder())
        self._table = PortTable(round(quarantine_s * 1e9))
        self._leases: dict[int, PortLease] = {}
        self._mutex = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def lease(self) -> PortLease:
        """Lease a pair: O(1), amortised.

        Raises
        ------
        PortsExhausted
            If no pair is free.
        OpenFilesLimit
            If this process may open no more sockets.
        UsageError
            If ``host`` is no address of this machine, or the manager is closed.
        """
        with self._mutex:
            if self._closed:
                raise UsageError("a closed PortManager leases no ports")
            try:
                return self._lease()
            except OSError as error:
                explained = self._explain(error)
                if explained is None:
                    raise
                raise explained from error

    def counts(self) -> PortCounts:
        """Return how many pairs of the blocks that this process holds are free, leased and resting."""
        with self._mutex:
            return self._table.counts(self._clock_ns())

    def close(self) -> None:
        """Release all leases and give the ports up to other processes; twice does no harm."""
        # Outside the lock, which release() takes itself.
        for lease in list(self._leases.values()):
            lease.release()
        with self._mutex:
            self._closed = True
            self._blocks.close()

    def _release(self, lease: PortLease) -> None:
        with self._mutex:
            if self._leases.get(lease.port) is not lease:
                return  # released before; the port may be another lease's by now
            del self._leases[lease.port]
            # Closed before the pair is given back: whoever gets it next must be able to bind it.
            lease.rtp_socket.close()
            lease.rtcp_socket.close()
            self._table.give_back(lease.port, self._clock_ns())

    def _lease(self) -> PortLease:
        while True:
            port = self._take()
            try:
                sockets = self._bind(port)
            except OSError as error:
                # Only that is the port's fault; anything else would come again with every other port.
                if error.errno != errno.EADDRINUSE:
                    self._table.put_back(port)
                    raise
                self._table.refuse(port, self._clock_ns())
            else:
                lease = self._leases[port] = PortLease(self, port, sockets)
                return lease

    def _take(self) -> int:
        """Take a free pair, of one more block if need be."""
        port = self._table.take(self._clock_ns())
        while port is None:
            pairs = self._blocks.claim()
            if pairs is None:
                raise self._exhausted()
            self._table.add(pairs)
            port = self._table.take(self._clock_ns())
        return port

    def _bind(self, port: int) -> tuple[socket.socket, socket.socket]:
        rtp_socket = open_udp_socket((self.host, port), _RTP_BUFFER_BYTES)
        try:
            return rtp_socket, open_udp_socket((self.host, port + 1), _RTCP_BUFFER_BYTES)
        except OSError:
            rtp_socket.close()
            raise

    def _exhausted(self) -> PortsExhausted:
        counts = self._table.counts(self._clock_ns())
        released = counts.resting - counts.refused
        return PortsExhausted(
            f"no free RTP port pair in {self.low}-{self.high}: {counts.leased} leased, {released} resting for "
            f"{self._quarantine_s:g} s after their release, {counts.refused} in use by other programs, "
            f"{self._blocks.held_by_others} blocks of ports held by other runs; "
            f"widen the range with --ari-rtp-ports LOW-HIGH",
            leased=counts.leased,
            resting=counts.resting,
        )

    def _explain(self, error: OSError) -> SlaError | None:
        """Turn what the system says into what to do about it; None where it speaks for itself."""
        if (limit := host_limit(error)) is not None:
            return type(limit)(f"{limit}; {2 * len(self._leases)} are open for RTP and RTCP")
        if error.errno == errno.EADDRNOTAVAIL:
            return UsageError(
                f"{self.host} is not an address of this machine; where Asterisk reaches this machine by it even so "
                "(NAT, containers), name the address to bind by --ari-media-bind"
            )
        if error.errno == errno.EACCES:
            return UsageError(
                f"this user may not bind ports of {self.low}-{self.high}; choose others by --ari-rtp-ports"
            )
        return None
