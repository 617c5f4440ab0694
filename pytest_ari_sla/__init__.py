"""Load and SLA testing of Asterisk and ARI applications, as a pytest plugin.

What tests and plug-ins use is imported from here. It is loaded when it is first asked for: a pytest session that makes
no load pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_ari_sla.load.result import LoadResult
    from pytest_ari_sla.load.stages import hold, ramp, rate
    from pytest_ari_sla.metrics.catalogue import Metric
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["Histogram", "LoadResult", "Metric", "PacketBatch", "__version__", "hold", "ramp", "rate"]

__version__ = "0.1.0"

_HOMES = {
    "Histogram": "metrics.histogram",
    "LoadResult": "load.result",
    "Metric": "metrics.catalogue",
    "PacketBatch": "rtp.packet_batch",
    "hold": "load.stages",
    "ramp": "load.stages",
    "rate": "load.stages",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
