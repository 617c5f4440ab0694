"""The plugin: registers the tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla import Tracker


@pytest.hookimpl(optionalhook=True)
def pytest_ari_sla_register_trackers() -> Sequence[Tracker]:
    """Add the metrics ``vitals.*``."""
    # Not above: every pytest of the environment loads this module, and few need psutil.
    from pytest_ari_sla_vitals.tracker import VitalsTracker

    return [VitalsTracker()]
