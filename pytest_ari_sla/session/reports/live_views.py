"""Where a running load is shown: the live console below pytest's output, and Prometheus."""

from __future__ import annotations

import os
import shutil
from io import UnsupportedOperation
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import pytest

    from pytest_ari_sla.reporting.live.live_console import LiveConsole
    from pytest_ari_sla.reporting.live.live_state import LiveState
    from pytest_ari_sla.reporting.live.prometheus import PrometheusEndpoint
    from pytest_ari_sla.settings import Settings

__all__ = ["LiveViews"]


class LiveViews:
    """All views of the running load.

    Parameters
    ----------
    config, settings
        Of the session.

    Raises
    ------
    SlaError
        Metrics cannot be served for Prometheus.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._stream: TextIO | None = None
        self._console = None if settings.live == "off" else self._open_console(config, settings.live)
        self._endpoint: PrometheusEndpoint | None = None
        if settings.prometheus_port is not None:
            from pytest_ari_sla.reporting.live.prometheus import PrometheusEndpoint

            self._endpoint = PrometheusEndpoint(settings.prometheus_port)

    @property
    def wanted(self) -> bool:
        """Whether anybody looks."""
        return self._console is not None or self._endpoint is not None

    def update(self, state: LiveState) -> None:
        """Show a new state."""
        if self._console is not None:
            self._console.update(state)
        if self._endpoint is not None:
            self._endpoint.update(state)

    def clear(self) -> None:
        """Take the picture away: the load is over."""
        if self._console is not None:
            self._console.clear()
        if self._endpoint is not None:
            self._endpoint.clear()

    def close(self) -> None:
        """Show nothing more."""
        self.clear()
        if self._endpoint is not None:
            self._endpoint.close()
        if self._stream is not None:
            self._stream.close()

    def _open_console(self, config: pytest.Config, mode: str) -> LiveConsole | None:
        """Return a console on the terminal that pytest writes to; None where pytest writes to none."""
        from pytest_ari_sla.reporting.live.live_console import make_live_console

        reporter = config.pluginmanager.getplugin("terminalreporter")
        if reporter is None:
            return None
        writer = reporter._tw  # pytest has no public way to the stream that it writes to
        self._stream = _duplicate(writer._file)
        console = make_live_console(self._stream or writer._file, mode, shutil.get_terminal_size)
        if console is not None:
            writer._file = console.guarded(writer._file)
        return console


def _duplicate(stream: TextIO) -> TextIO | None:
    """Return a stream of our own to the same terminal; None where there is no file behind it.

    While a test runs, pytest lets the file descriptor of the standard output point elsewhere; a copy does not follow.
    """
    try:
        return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding or "utf-8", errors="replace")
    except (UnsupportedOperation, AttributeError, ValueError):  # in memory; without fileno(); closed
        return None
