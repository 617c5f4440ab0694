"""What this machine itself refuses us: ours to tell, whoever seems to fail by it."""

from __future__ import annotations

import errno
import os
import re
import resource

from pytest_ari_sla.errors import HostLimit, OpenFilesLimit

__all__ = ["host_limit", "is_limit", "kept_from_connecting", "lacks_files", "limit_words", "telling_errno"]

_FILES = (errno.EMFILE, errno.ENFILE)
_MEMORY = (errno.ENOBUFS, errno.ENOMEM)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_NO_PORT = (errno.EADDRNOTAVAIL, errno.EAGAIN)

_LAST_OF_ALL = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH)
"""What a machine says of addresses of a kind that it has not, such as IPv6: where others were tried, they tell more."""


def is_limit(error: OSError) -> bool:
    """Whether nothing more can be opened: by this process (EMFILE), or on this whole machine."""
    return error.errno in (*_FILES, *_MEMORY)


def limit_words(error: OSError) -> str:
    """Return what is wrong, and what to do about it, as a sentence without its full stop."""
    if error.errno in _MEMORY:
        return f"this machine has no more memory for connections ({error.strerror})"
    if error.errno == errno.ENFILE:
        return "no more open files on this machine; raise its limit (sysctl fs.file-max)"
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"no more open files: this process of this tool may have {limit}; raise the limit (ulimit -n, here {most})"


def host_limit(error: BaseException) -> HostLimit | None:
    """Return our error where this machine has no more of something; None where it is something else that failed."""
    if not isinstance(error, OSError):
        return None
    if is_limit(error):
        return (OpenFilesLimit if error.errno in _FILES else HostLimit)(limit_words(error))
    if error.errno == errno.EAGAIN:  # fork(2); whoever reads or writes deals with it on the spot
        return HostLimit("this user may have no more processes here (ulimit -u; of a container: its limit of pids)")
    return None


def kept_from_connecting(error: OSError, at: str) -> HostLimit | None:
    """Return our error where this machine itself kept us from connecting to an address; None where others did."""
    number = telling_errno(error)
    if number in _NO_PORT:  # connect(2)
        return HostLimit(
            f"this machine has no local port left for a connection to {at} (sysctl net.ipv4.ip_local_port_range; each "
            "that was closed is kept for a minute), or no address of its kind"
        )
    if number in _FORBIDDEN:
        return HostLimit(f"this machine forbids us to connect to {at} ({os.strerror(number)}): a firewall of its own?")
    return host_limit(OSError(number, os.strerror(number)))


def telling_errno(error: OSError) -> int:
    """Return the error number that tells most; 0 where there is none.

    asyncio and aiohttp join what several addresses of a host have said into one text, and give that no number.
    """
    numbers = [error.errno] if error.errno else [int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))]
    ours = [number for number in numbers if number in (*_FILES, *_MEMORY)]
    others = [number for number in numbers if number not in _LAST_OF_ALL]
    return (ours or others or numbers or [0])[0]


def lacks_files() -> OpenFilesLimit | None:
    """Return our error where no file can be opened now: looking a name up fails by that, and does not say so."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return OpenFilesLimit(limit_words(error)) if error.errno in _FILES else None
    return None
