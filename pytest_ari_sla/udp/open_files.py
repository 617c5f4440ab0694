"""The limit of open files, where it is reached: ours to tell, whatever seems to fail by it."""

from __future__ import annotations

import errno
import resource

__all__ = ["is_limit", "limit_words"]


def is_limit(error: OSError) -> bool:
    """Whether nothing more can be opened: by this process (EMFILE), or on this whole machine (ENFILE)."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def limit_words(error: OSError) -> str:
    """Return what is wrong, and what to do about it, as a sentence without its full stop."""
    if error.errno == errno.ENFILE:
        return "no more open files on this machine; raise its limit (sysctl fs.file-max)"
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"no more open files: this process of this tool may have {limit}; raise the limit (ulimit -n, here {most})"
