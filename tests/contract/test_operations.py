"""The simulator's list of operations against the description that Asterisk 22 ships."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

import pytest_ari_sla.targets.simulator
from pytest_ari_sla.targets.simulator.api.description import ApiDocs, operations_table
from pytest_ari_sla.targets.simulator.api.models import EVENTS, MODELS
from pytest_ari_sla.targets.simulator.api.routes import ROUTES
from tests.asterisk.conftest import provisioned_folder
from tests.contract.api_description import ApiDescription, read_documents

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.api.route import Route
    from pytest_ari_sla.targets.simulator.process import SimulatorProcess

_TABLE = Path(pytest_ari_sla.targets.simulator.__file__).with_name("OPERATIONS.md")
_MISSING = [route for route in ROUTES if route.handler is None]


def description_folder() -> Path:
    """Return where Asterisk 22 keeps its description."""
    return provisioned_folder("22") / "usr" / "share" / "asterisk" / "rest-api"


def is_required(parameter: dict[str, Any]) -> bool:
    """Whether a parameter cannot be left out; of a path's it is not always said."""
    return parameter["paramType"] == "path" or bool(parameter.get("required"))


def described_parameters() -> dict[tuple[str, str], set[tuple[Any, ...]]]:
    """Return the parameters of each operation of Asterisk: name, place, type, whether required, whether several."""
    return {
        (operation["httpMethod"], api["path"]): {
            (one["name"], one["paramType"], one["dataType"], is_required(one), one.get("allowMultiple", False))
            for one in operation.get("parameters", [])
        }
        for document in read_documents(description_folder())
        for api in document["apis"]
        for operation in api.get("operations", [])
    }


def test_every_described_operation_is_in_the_table() -> None:
    """Method, path, name and answer are those of Asterisk's description, no more and no less."""
    ours = {(route.method, route.path, route.nickname, route.response) for route in ROUTES}
    theirs = {
        (one.method, one.path, one.nickname, one.response) for one in ApiDescription(description_folder()).operations
    }
    assert ours == theirs


def test_parameters_are_those_of_the_description() -> None:
    """Names, places and types of all parameters are Asterisk's."""
    theirs = described_parameters()
    for route in ROUTES:
        ours = {(one.name, one.place, one.type, one.required, one.multiple) for one in route.parameters}
        assert ours == theirs[route.method, route.path], f"{route.method} {route.path}"


@pytest.mark.parametrize("route", _MISSING, ids=lambda route: f"{route.method} {route.path}")
async def test_what_is_not_carried_out_answers_501(simulator: SimulatorProcess, route: Route) -> None:
    """An operation that exists in Asterisk but not here is not pretended."""
    path = route.path.replace("{", "").replace("}", "")
    headers = {"Authorization": simulator.endpoint.authorization}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(route.method, simulator.url + path) as response,
    ):
        assert response.status == 501
        assert await response.json() == {"message": "Method not implemented by the simulator"}


def test_the_table_in_the_docs_is_up_to_date() -> None:
    """OPERATIONS.md is what the program prints."""
    assert _TABLE.read_text() == operations_table(ROUTES)


def test_models_are_those_of_the_description() -> None:
    """Fields that the simulator's api-docs promise are fields of Asterisk's, with the same types."""
    documents = read_documents(description_folder())
    theirs = {name: model for document in documents for name, model in document.get("models", {}).items()}
    docs = ApiDocs(ROUTES)
    for resource in {route.resource for route in ROUTES}:
        for name, model in docs.document(f"{resource}.json", "http://x/ari")["models"].items():
            for field, told in model["properties"].items():
                described = theirs[name]["properties"][field]
                assert (told["type"], told["required"]) == (described["type"], described.get("required", False)), name
    assert EVENTS.keys() <= theirs.keys()
    assert {name for models in MODELS.values() for name in models} <= theirs.keys()
