"""The server itself: information, ping, global variables, modules, and what is no resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri


async def test_ping_is_answered_with_pong(raw_ari: RawAri) -> None:
    """GET /asterisk/ping answers pong, with time and server id."""
    reply = await raw_ari.get("/asterisk/ping")
    assert reply.status == 200
    assert reply.body["ping"] == "pong"
    assert set(reply.body) == {"ping", "timestamp", "asterisk_id"}


async def test_info_has_four_parts(raw_ari: RawAri) -> None:
    """GET /asterisk/info tells build, system, configuration and status."""
    reply = await raw_ari.get("/asterisk/info")
    assert reply.status == 200
    assert set(reply.body) == {"build", "system", "config", "status"}
    assert reply.body["config"]["default_language"] == "en"


@pytest.mark.parametrize(
    ("only", "parts"),
    [("system", {"system"}), ("system,config", {"system", "config"}), ("status", {"status"}), ("bogus", set())],
)
async def test_info_can_be_narrowed(raw_ari: RawAri, only: str, parts: set[str]) -> None:
    """Parameter only picks parts of the information; an unknown part is nothing."""
    reply = await raw_ari.get("/asterisk/info", only=only)
    assert (reply.status, set(reply.body)) == (200, parts)


async def test_a_global_variable_is_read_back(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """A global variable holds what was set; one never set is empty, not missing; without a value it is emptied."""
    name = new_id("G").replace("-", "_")
    assert (await raw_ari.get("/asterisk/variable", variable=name)).body == {"value": ""}
    assert (await raw_ari.post("/asterisk/variable", variable=name, value="seven")).status == 204
    assert (await raw_ari.get("/asterisk/variable", variable=name)).body == {"value": "seven"}
    assert (await raw_ari.post("/asterisk/variable", variable=name)).status == 204
    assert (await raw_ari.get("/asterisk/variable", variable=name)).body == {"value": ""}


async def test_a_global_variable_needs_a_name(raw_ari: RawAri) -> None:
    """Without a name both reading and writing answer 400."""
    assert (await raw_ari.get("/asterisk/variable")).error == (400, "Variable name is required")
    assert (await raw_ari.post("/asterisk/variable", value="x")).error == (400, "Variable name is required")


async def test_parameters_may_come_as_json_body(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """What may stand in the query may stand in a JSON body as well."""
    name = new_id("J").replace("-", "_")
    assert (await raw_ari.post("/asterisk/variable", {"variable": name, "value": "json"})).status == 204
    assert (await raw_ari.get("/asterisk/variable", variable=name)).body == {"value": "json"}


async def test_a_body_that_is_no_json_is_refused(raw_ari: RawAri) -> None:
    """400; JSON that is no object is as good as no body."""
    address, headers = raw_ari.base + "/asterisk/variable", {"Content-Type": "application/json"}
    async with raw_ari.session.post(address, data=b"{no json", headers=headers) as response:
        assert (response.status, await response.json()) == (400, {"message": "Error parsing request body"})
    async with raw_ari.session.post(address, data=b"[1]", headers=headers) as response:
        assert (response.status, await response.json()) == (400, {"message": "Variable name is required"})


async def test_parameters_may_come_as_a_form(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """As a browser sends it."""
    name = new_id("F").replace("-", "_")
    form = {"variable": name, "value": "form"}
    async with raw_ari.session.post(raw_ari.base + "/asterisk/variable", data=form) as response:
        assert response.status == 204
    assert (await raw_ari.get("/asterisk/variable", variable=name)).body == {"value": "form"}


async def test_the_modules_that_a_load_needs_run(raw_ari: RawAri) -> None:
    """Whoever checks a target before a load finds ExternalMedia, Stasis, Echo() and the parts of ARI."""
    running = {module["name"] for module in (await raw_ari.get("/asterisk/modules")).body}
    parts = ("applications", "asterisk", "bridges", "channels", "events", "playbacks")
    needed = {f"res_ari_{part}.so" for part in parts} | {"res_ari.so", "res_rtp_asterisk.so", "res_stasis.so"}
    assert running >= needed | {"app_echo.so", "app_stasis.so", "chan_rtp.so", "bridge_simple.so", "bridge_softmix.so"}


async def test_a_loaded_module_is_described(raw_ari: RawAri) -> None:
    """A module that runs is told by name; one that does not exist answers 404."""
    reply = await raw_ari.get("/asterisk/modules/app_echo.so")
    assert reply.status == 200
    assert (reply.body["name"], reply.body["status"]) == ("app_echo.so", "Running")
    assert reply.body in (await raw_ari.get("/asterisk/modules")).body
    missing = await raw_ari.get("/asterisk/modules/nope")
    assert missing.error == (404, "Module could not be found in running modules")


@pytest.mark.parametrize(
    "path", ["/nosuch", "/asterisk/nosuch", "/channels/a/nosuch", "/api-docs", "/api-docs/nosuch.json", "/Channels"]
)
async def test_an_unknown_path_answers_404(raw_ari: RawAri, path: str) -> None:
    """What is no resource of ARI is not found."""
    assert (await raw_ari.get(path)).error == (404, "Resource not found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/channels"),
        ("PATCH", "/channels"),
        ("DELETE", "/asterisk/ping"),
        ("GET", "/channels/create"),
        ("GET", "/recordings"),
        ("GET", "/events/user"),
        ("GET", "/"),
        ("GET", "//channels"),
    ],
)
async def test_a_method_that_a_resource_lacks_answers_405(raw_ari: RawAri, method: str, path: str) -> None:
    """A resource that exists refuses methods that it does not have; so does one that only leads to others."""
    assert (await raw_ari.request(method, path)).error == (405, "Invalid method")


@pytest.mark.parametrize("path", ["/channels", "/api-docs"])
async def test_a_slash_at_the_end_answers_404(raw_ari: RawAri, path: str) -> None:
    """And the message says what to try."""
    message = f"ARI URLs do not end with a slash. Try /ari{path}"
    assert (await raw_ari.get(path + "/")).error == (404, message)


async def test_the_description_can_only_be_read(raw_ari: RawAri) -> None:
    """Any other method answers 405."""
    assert (await raw_ari.post("/api-docs/channels.json")).error == (405, "Unsupported method")


async def test_options_tells_the_methods(raw_ari: RawAri) -> None:
    """OPTIONS answers 204 and lists what a resource can do."""
    reply = await raw_ari.request("OPTIONS", "/channels")
    assert reply.status == 204
    assert set(reply.headers["Allow"].split(",")) == {"OPTIONS", "GET", "POST"}


async def test_the_description_is_served(raw_ari: RawAri) -> None:
    """GET /api-docs/resources.json lists the resources, and each has a document."""
    listing = (await raw_ari.get("/api-docs/resources.json")).body
    assert listing["swaggerVersion"] == "1.1"
    for api in listing["apis"]:
        document = await raw_ari.get(api["path"].replace("{format}", "json"))
        assert document.status == 200
        assert document.body["resourcePath"] in api["path"]


async def test_replies_name_the_server(raw_ari: RawAri) -> None:
    """Every reply says who answers and must not be kept by a cache."""
    reply = await raw_ari.get("/asterisk/ping")
    assert reply.headers["Server"].startswith("Asterisk/")
    assert reply.headers["Cache-Control"] == "no-cache, no-store"
