"""How a process ended, in words."""

from __future__ import annotations

import signal

__all__ = ["ending_of"]


def ending_of(code: int | None) -> str:
    """Say how a process ended, as the end of a sentence that begins with its name.

    Parameters
    ----------
    code
        What ``Popen.poll`` returned: an exit code, a signal's number below zero, or None while it runs.
    """
    if code is None:
        return "has not ended"
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by signal {-code} ({_name_of(-code)})"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals but the first and the last have no name
        return "a real-time signal"
