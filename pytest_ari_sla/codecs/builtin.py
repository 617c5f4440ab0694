"""The built-in codecs, as a plugin that registers them: the same door that a team's own codecs come through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.hookspecs.codec import Codec

__all__ = ["pytest_ari_sla_register_codecs"]


@pytest.hookimpl
def pytest_ari_sla_register_codecs() -> Sequence[Codec]:
    """Register all built-in codecs; their libraries are loaded when one is first used, not here."""
    from pytest_ari_sla.codecs.g711 import pcma, pcmu
    from pytest_ari_sla.codecs.g722 import G722Codec
    from pytest_ari_sla.codecs.gsm import GsmCodec
    from pytest_ari_sla.codecs.l16 import l16_narrowband, l16_wideband
    from pytest_ari_sla.codecs.opus import OpusCodec

    return [pcmu(), pcma(), G722Codec(), l16_narrowband(), l16_wideband(), OpusCodec(), GsmCodec()]
