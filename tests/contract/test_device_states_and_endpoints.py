"""Device states that applications keep, endpoints of which a bare Asterisk has none, and sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_UNCONTROLLED = (409, "Uncontrolled device specified")


async def test_a_device_state_is_kept(raw_ari: RawAri, new_id: NewId) -> None:
    """A Stasis device has the state that was set; before and after it is unknown."""
    device = new_id("Stasis:dev")
    path, unknown = f"/deviceStates/{device}", {"name": device, "state": "UNKNOWN"}
    assert (await raw_ari.get(path)).body == unknown
    assert (await raw_ari.put(path, deviceState="INUSE")).status == 204
    assert (await raw_ari.get(path)).body == {"name": device, "state": "INUSE"}
    assert {"name": device, "state": "INUSE"} in (await raw_ari.get("/deviceStates")).body
    for _ in range(2):  # deleting what is deleted does no harm
        assert (await raw_ari.delete(path)).status == 204
    assert (await raw_ari.get(path)).body == unknown
    assert (await raw_ari.get("/deviceStates")).body == []


async def test_subscribers_see_a_device_change(raw_ari: RawAri, new_id: NewId) -> None:
    """An application that subscribed to a device is told its new state, until it unsubscribes."""
    log, device = await raw_ari.listen(), new_id("Stasis:dev")
    source = f"deviceState:{device}"
    subscribed = await raw_ari.post("/applications/contract/subscription", eventSource=source)
    assert subscribed.body["device_names"] == [device]
    await raw_ari.put(f"/deviceStates/{device}", deviceState="RINGING")
    changed = await log.wait_for("DeviceStateChanged")
    assert changed["device_state"] == {"name": device, "state": "RINGING"}
    unsubscribed = await raw_ari.delete("/applications/contract/subscription", eventSource=source)
    assert unsubscribed.body["device_names"] == []
    await log.forget()
    await raw_ari.put(f"/deviceStates/{device}", deviceState="BUSY")
    assert await log.settle() == []
    await raw_ari.delete(f"/deviceStates/{device}")


async def test_other_devices_are_not_ours(raw_ari: RawAri) -> None:
    """Only devices of the Stasis provider can be set and deleted."""
    assert (await raw_ari.put("/deviceStates/Other:x", deviceState="INUSE")).error == _UNCONTROLLED
    assert (await raw_ari.delete("/deviceStates/Other:x")).error == _UNCONTROLLED


@pytest.mark.parametrize("parameters", [{}, {"deviceState": "BOGUS"}])
async def test_an_unknown_state_fails(raw_ari: RawAri, parameters: dict[str, str]) -> None:
    """A state that does not exist answers 500."""
    assert (await raw_ari.put("/deviceStates/Stasis:x", **parameters)).error == (500, "Unknown device")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/Local", (404, "No Endpoints found - invalid tech Local")),
        ("/PJSIP/x", (404, "Endpoint not found")),
        ("/Local/x", (404, "Endpoint not found")),
    ],
)
async def test_there_are_no_endpoints_but_those_of_sip(raw_ari: RawAri, path: str, error: tuple[int, str]) -> None:
    """A real Asterisk has one that takes SIP callers; other technologies have none."""
    assert [one for one in (await raw_ari.get("/endpoints")).body if one["technology"] != "PJSIP"] == []
    assert (await raw_ari.get(f"/endpoints{path}")).error == error


async def test_sounds_are_listed(raw_ari: RawAri) -> None:
    """The prompts of the core are there, each with language and format."""
    beep = await raw_ari.get("/sounds/beep")
    assert beep.status == 200
    assert {"language": "en", "format": "gsm"} in beep.body["formats"]
    assert "beep" in {sound["id"] for sound in (await raw_ari.get("/sounds")).body}
    assert (await raw_ari.get("/sounds/nosuch")).error == (404, "Sound not found")
