import subprocess
import sys

import pytest

from pytest_ari_sla.codecs.builtin import pytest_ari_sla_register_codecs
from pytest_ari_sla.hookspecs.codec import Codec
from pytest_ari_sla.testing import CodecContract


class TestEveryBuiltInCodec(CodecContract):
    """The built-in codecs keep the contract that a stranger's must keep."""

    @pytest.fixture(params=pytest_ari_sla_register_codecs(), ids=lambda codec: codec.name.replace("/", "-"))
    def codec(self, request: pytest.FixtureRequest) -> Codec:
        """Each of them in turn."""
        codec: Codec = request.param
        return codec


def test_names_are_unique() -> None:
    """No two built-in codecs share a name or a format of Asterisk's."""
    codecs = pytest_ari_sla_register_codecs()
    assert len({codec.name for codec in codecs}) == len(codecs)
    assert len({codec.asterisk_format for codec in codecs}) == len(codecs)


def test_the_codecs_that_teams_expect_are_there() -> None:
    """G.711 of both laws, G.722, linear PCM at two rates, Opus and GSM are registered under Asterisk's formats."""
    formats = {codec.name: codec.asterisk_format for codec in pytest_ari_sla_register_codecs()}
    assert formats == {
        "PCMU": "ulaw",
        "PCMA": "alaw",
        "G722": "g722",
        "L16": "slin",
        "L16/16000": "slin16",
        "OPUS": "opus",
        "GSM": "gsm",
    }


def test_heavy_libraries_are_loaded_on_use_only() -> None:
    """Registering all codecs and encoding G.711 imports neither PyAV nor soundfile."""
    program = """
import sys
from pytest_ari_sla.codecs.builtin import pytest_ari_sla_register_codecs
from pytest_ari_sla.codecs.speech import frames
frames(pytest_ari_sla_register_codecs()[0], 20, 1.0)
assert not {"av", "soundfile"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
