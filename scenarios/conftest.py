"""A load lasts as long as it is asked to: the time-out of this project's own tests is not for scenarios."""

import pytest


def pytest_itemcollected(item):
    """Lift the time-out, where pytest-timeout is installed at all."""
    if item.config.pluginmanager.hasplugin("timeout"):
        item.add_marker(pytest.mark.timeout(0))
