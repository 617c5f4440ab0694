"""What a process on this machine holds, as /proc tells: file descriptors by kind, threads, memory."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Holdings", "read_holdings", "server_at"]

UDP, TCP = "UDP sockets", "TCP sockets"
# TCP_LISTEN as /proc/net/tcp writes it (include/net/tcp_states.h).
_LISTENS = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_PSEUDO = re.compile(r"(pipe|anon_inode):\[?([\w]+)")


@dataclass(frozen=True)
class Holdings:
    """What a process holds at one time.

    Attributes
    ----------
    files
        File descriptors by kind: UDP and TCP sockets, other sockets, pipes, eventfds, files. Connections to its HTTP
        server are left out, since those are their clients'.
    threads
        Threads; of each connection to its HTTP server, Asterisk has one, which is left out.
    memory_bytes
        In RAM.
    """

    files: Mapping[str, int] = field(default_factory=dict)
    threads: int = 0
    memory_bytes: int = 0

    @property
    def all_files(self) -> int:
        """File descriptors of all kinds."""
        return sum(self.files.values())

    @property
    def udp_sockets(self) -> int:
        """UDP sockets: with Asterisk, its RTP ports above all."""
        return self.files.get(UDP, 0)


def read_holdings(pid: int, http_port: int) -> Holdings | None:
    """Return what a process holds; None where it has gone, or is not ours to look into.

    Parameters
    ----------
    pid
        The process.
    http_port
        Where its HTTP server listens.
    """
    process = Path(f"/proc/{pid}")
    try:
        targets = list(_open_files(process))
        threads = len(os.listdir(process / "task"))
        resident_pages = int((process / "statm").read_text().split()[1])
        kinds, connections = _kinds(targets, dict(_sockets(process, http_port)))
    except OSError:
        return None
    if not targets:
        return None
    memory_bytes = resident_pages * os.sysconf("SC_PAGE_SIZE")
    return Holdings(kinds, threads - connections, memory_bytes)


def _open_files(process: Path) -> Iterator[str]:
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            yield str(descriptor.readlink())


def _sockets(process: Path, http_port: int) -> Iterator[tuple[str, str]]:
    """Yield each socket of the process's network: its inode, and what it is; nothing for the HTTP server's clients."""
    for table, kind in (("udp", UDP), ("udp6", UDP), ("tcp", TCP), ("tcp6", TCP)):
        with suppress(FileNotFoundError):  # there is no IPv6 here
            # The process's own table: it may be in another network namespace.
            for line in (process / "net" / table).read_text().splitlines()[1:]:
                words = line.split()
                port, state, inode = int(words[1].rpartition(":")[2], 16), words[3], words[9]
                is_client = kind == TCP and port == http_port and state != _LISTENS
                yield inode, "" if is_client else kind


def _kinds(targets: list[str], sockets: Mapping[str, str]) -> tuple[dict[str, int], int]:
    """Return what file descriptors are, by kind, and how many are connections to the HTTP server."""
    kinds: Counter[str] = Counter()
    for target in targets:
        if inode := _SOCKET.fullmatch(target):
            kinds[sockets.get(inode[1], "other sockets")] += 1
        elif pseudo := _PSEUDO.match(target):
            kinds[f"{pseudo[2] if pseudo[1] == 'anon_inode' else pseudo[1]}s"] += 1
        else:
            kinds["files"] += 1
    connections = kinds.pop("", 0)
    return dict(kinds), connections


def server_at(port: int, name: str = "asterisk") -> int | None:
    """Return the process of this machine that listens at a TCP port; None where none does, or it is another program.

    Parameters
    ----------
    port
        The port.
    name
        The program that its command must name: at the port that a container publishes, docker-proxy listens.
    """
    inodes = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{words[9]}]")
    for process in Path("/proc").iterdir() if inodes else ():
        if process.name.isdecimal():
            with suppress(OSError):  # it has ended, or is not ours to look into
                if inodes & set(_open_files(process)) and _runs(process, name):
                    return int(process.name)
    return None


def _runs(process: Path, program: str) -> bool:
    """Tell whether a process runs a program, by its command: a loader or an interpreter may come first.

    A folder's name says nothing: what listens in place of an Asterisk may well be configured in one of that name.
    """
    words = (process / "cmdline").read_text(errors="replace").split("\0")
    return any(Path(word).name == program and not (word.startswith("/") and Path(word).is_dir()) for word in words)
