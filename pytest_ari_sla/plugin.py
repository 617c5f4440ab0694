"""The pytest hooks of the plugin, and nothing else: every pytest of an environment imports them, and help no more.

What they do in a session is in `session_hooks`; everything heavy is imported when it is needed.
"""

from __future__ import annotations

import warnings

import pytest

from pytest_ari_sla import options
from pytest_ari_sla.session.plugins import hook_calls


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that teams can implement."""
    hook_calls.add_hooks(pluginmanager)
    pluginmanager.register(_LoopScopes(), "ari-sla-loop-scopes")


def pytest_configure(config: pytest.Config) -> None:
    """Join the session, where there is to be one."""
    if config.getoption("help", False):
        return
    from pytest_ari_sla.session_hooks import join

    join(config)


# Last: what others have deselected is not read.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read all thresholds, so that a mistake in one stops pytest before the first call is made."""
    from pytest_ari_sla.session_hooks import check_items

    check_items(config, items)


def pytest_runtestloop(session: pytest.Session) -> None:
    """Find or start the target, so that a wrong address stops pytest before the first test."""
    from pytest_ari_sla.session_hooks import find_targets

    find_targets(session)


class _LoopScopes:
    """Spares those who have no ini file pytest-asyncio's warning that it has no scope: our fixtures name theirs."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        """Ignore it before pytest-asyncio gives it; pytest forgets the filter when everybody is configured."""
        unset = r'The configuration option "asyncio_default_fixture_loop_scope" is unset'
        warnings.filterwarnings("ignore", rf"\s*{unset}", pytest.PytestDeprecationWarning)
