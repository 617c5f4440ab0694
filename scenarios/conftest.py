"""A load lasts as long as it is asked to: the time-out that this project sets for its own tests is not for scenarios."""

import pytest


def pytest_itemcollected(item):
    """Lift the time-out, where pytest-timeout is installed at all."""
    if item.config.pluginmanager.hasplugin("timeout"):
        item.add_marker(pytest.mark.timeout(0))
