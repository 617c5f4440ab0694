"""Settings for all tests."""

from hypothesis import settings

# A slow machine is no bug: properties are checked without a clock, pytest-timeout ends what hangs.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
