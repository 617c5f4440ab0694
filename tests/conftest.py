"""Settings for all tests."""

import os
import signal
import sys

import pytest
from hypothesis import settings

from tests import standstill

# For all tries of a test together; see standstill.py.
_TIMEOUT_S = 300

# A slow machine is no bug: properties are checked without a clock, pytest-timeout ends what hangs. The same examples
# each time, so that a red test is the fault of what was changed, and few, as they find nothing new; `make soak` looks
# for new ones.
settings.register_profile("tests", deadline=None, derandomize=True, database=None, max_examples=30)
settings.register_profile("soak", deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile("tests")

# A shell lets what it starts in the background ignore Ctrl-C, nohup the end of the terminal, and children inherit that:
# the sessions that our tests interrupt must hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Tests start hundreds of Pythons. Where none may keep bytecode, each compiles everything anew: 9 s a session, not 3.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set what our own tests want and scenarios do not, before pytest-timeout reads its options."""
    config.addinivalue_line("filterwarnings", "error")
    if config.option.timeout is None:
        config.option.timeout = _TIMEOUT_S
    config.pluginmanager.register(standstill)
    config.pluginmanager.register(standstill.Standstill())
