"""Variables of channels and bridges, one by one and several at once; the latter are new in Asterisk 22.

Left out on purpose: ``POST /bridges/{bridgeId}/variable`` without a name kills Asterisk 22.10.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_NO_SUCH_VARIABLE = (404, "Provided variable was not found")
_NO_SUCH_RESOURCE = (404, "Resource not found")


async def a_thing(ari: RawAri, kind: str, new_id: NewId) -> str:
    """Make a channel in Stasis, or a bridge, and return its path."""
    log, identifier = await ari.listen(), new_id("thing")
    if kind == "channels":
        await ari.external_media(identifier, log)
    else:
        await ari.post("/bridges", bridgeId=identifier)
    return f"/{kind}/{identifier}"


@pytest.mark.parametrize("kind", ["channels", "bridges"])
async def test_several_variables_at_once(raw_ari: RawAri, new_id: NewId, kind: str) -> None:
    """What is set together is read together; one that is missing spoils the answer. 16 has no such resource."""
    path = await a_thing(raw_ari, kind, new_id)
    written = await raw_ari.post(f"{path}/variables", {"variables": {"COLOUR": "blue", "SIZE": "nine"}})
    if raw_ari.major == 16:
        assert written.error == _NO_SUCH_RESOURCE
        return
    assert written.status == 204
    read = await raw_ari.get(f"{path}/variables", variables="COLOUR,SIZE")
    assert (read.status, read.body) == (200, {"variables": {"COLOUR": "blue", "SIZE": "nine"}})
    assert (await raw_ari.get(f"{path}/variables", variables="COLOUR,NEVER")).error == _NO_SUCH_VARIABLE
    assert (await raw_ari.get(f"{path}/variables")).error == (400, "At least one variable name is required")
    assert (await raw_ari.post(f"{path}/variables")).error == (400, "The 'variables' field is required")
    no_object = await raw_ari.post(f"{path}/variables", {"variables": "blue"})
    assert no_object.error == (400, "The 'variables' field must be a JSON object")


async def test_a_bridge_has_variables(raw_ari: RawAri, new_id: NewId) -> None:
    """Each can be set and read, in 22."""
    path = await a_thing(raw_ari, "bridges", new_id)
    written = await raw_ari.post(f"{path}/variable", variable="COLOUR", value="blue")
    if raw_ari.major == 16:
        assert written.error == _NO_SUCH_RESOURCE
        return
    assert written.status == 204
    assert (await raw_ari.get(f"{path}/variable", variable="COLOUR")).body == {"value": "blue"}
    assert (await raw_ari.get(f"{path}/variable", variable="NEVER")).error == _NO_SUCH_VARIABLE
    assert (await raw_ari.get(f"{path}/variable")).error == (400, "Variable name is required")
    assert (await raw_ari.get("/bridges/nosuch/variable", variable="COLOUR")).error == (404, "Bridge not found")


async def test_a_transfer_state_is_checked(raw_ari: RawAri, new_id: NewId) -> None:
    """Progress of a transfer is told in words that exist, in 22."""
    path = await a_thing(raw_ari, "channels", new_id)
    told = await raw_ari.post(f"{path}/transfer_progress", states="channel_answered")
    if raw_ari.major == 16:
        assert told.error == _NO_SUCH_RESOURCE
        return
    assert told.status == 204
    assert (await raw_ari.post(f"{path}/transfer_progress")).error == (400, "states must not be empty")
    assert (await raw_ari.post(f"{path}/transfer_progress", states="bogus")).error == (400, "Invalid states value")
