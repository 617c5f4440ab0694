"""Public helpers for authors of codecs, trackers and topologies: contracts, and a network without sockets."""

import pytest

# Before the modules themselves: a contract's assertions should explain themselves in other people's test runs too.
pytest.register_assert_rewrite("pytest_ari_sla.testing.codec_contract")

from pytest_ari_sla.testing.codec_contract import CodecContract  # noqa: E402

__all__ = ["CodecContract"]
