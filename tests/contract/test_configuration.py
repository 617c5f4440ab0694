"""Dynamic configuration: the sections of websocket_client.conf, of which ExternalMedia takes the names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.raw_ari import RawAri

SECTION = "/asterisk/config/dynamic/res_websocket_client/websocket_client/one"


@pytest.fixture(params=["simulator", "asterisk-22"])
def target_name(request: pytest.FixtureRequest) -> str:
    """Run the test once for each target that has WebSocket media."""
    return str(request.param)


def fields(**values: str) -> dict[str, list[dict[str, str]]]:
    """Return the body of a request."""
    return {"fields": [{"attribute": name, "value": value} for name, value in values.items()]}


async def test_a_section_is_written_changed_and_removed(raw_ari: RawAri) -> None:
    """What is not given has its default; what was given before stays."""
    assert (await raw_ari.get(SECTION)).error == (404, "Object with id 'one' not found")
    written = await raw_ari.put(SECTION, fields(connection_type="per_call_config", uri="ws://127.0.0.1:9/a"))
    assert written.status == 200
    assert (await raw_ari.put(SECTION, fields(uri="ws://127.0.0.1:9/b"))).status == 200
    values = {entry["attribute"]: entry["value"] for entry in (await raw_ari.get(SECTION)).body}
    expected = {
        "connection_type": "per_call_config",
        "uri": "ws://127.0.0.1:9/b",
        "protocols": "",
        "connection_timeout": "500",
        "reconnect_attempts": "4",
        "reconnect_interval": "500",
    }
    assert expected.items() <= values.items()
    assert (await raw_ari.delete(SECTION)).status == 204
    assert (await raw_ari.delete(SECTION)).error == (404, "Object with id 'one' not found")


async def test_what_makes_no_sense_is_refused(raw_ari: RawAri) -> None:
    """Nothing is kept of it."""
    invalid = "Creation of object 'one' failed field value validation"
    for body in (fields(protocols="media"), fields(nonsense="x"), {}):
        assert (await raw_ari.put(SECTION, body)).error == (400, invalid)
    assert (await raw_ari.get(SECTION)).status == 404


async def test_there_is_nothing_else_here(raw_ari: RawAri) -> None:
    """Classes are modules, types are theirs."""
    base = "/asterisk/config/dynamic"
    assert (await raw_ari.get(f"{base}/nowhere/x/y")).error == (404, "configClass 'nowhere' not found")
    other = await raw_ari.get(f"{base}/res_websocket_client/x/y")
    assert other.error == (404, "objectType 'x' not found")
