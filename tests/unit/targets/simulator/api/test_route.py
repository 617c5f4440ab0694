"""Routes: notation, finding, arguments."""

from __future__ import annotations

import pytest

from pytest_ari_sla.targets.simulator.api.route import Arguments, Parameter, RouteTable, operation
from pytest_ari_sla.targets.simulator.pbx.reply import Refused


def test_the_notation_says_all_about_a_parameter() -> None:
    """Mark, type and place are read off; the path's parameters come first and are required."""
    route = operation("POST", "/things/{thingId}", "make", "Thing", "name! kinds* size:int extra:body filter:object")
    assert route.parameters == (
        Parameter("thingId", "path", required=True),
        Parameter("name", "query", required=True),
        Parameter("kinds", "query", multiple=True),
        Parameter("size", "query", "int"),
        Parameter("extra", "body", "containers"),
        Parameter("filter", "body", "object"),
    )
    assert route.resource == "things"


def test_literal_parts_win_over_placeholders() -> None:
    """``/things/new`` is no thing's id."""
    table = RouteTable([operation("GET", "/things/{id}", "get", "T"), operation("POST", "/things/new", "make", "T")])
    assert list(table.find("/things/new")[0]) == ["POST"]
    methods, values = table.find("/things/old")
    assert (list(methods), values) == (["GET"], ["old"])


@pytest.mark.parametrize("path", ["/nothing", "/things/a/b"])
def test_what_is_not_in_the_table_is_refused(path: str) -> None:
    """With 404, in Asterisk's words."""
    table = RouteTable([operation("GET", "/things/{id}", "get", "T")])
    with pytest.raises(Refused) as refused:
        table.find(path)
    assert refused.value.reply.status == 404


def test_a_prefix_of_a_path_has_no_methods() -> None:
    """``/things`` is on the way to something, but nothing itself."""
    table = RouteTable([operation("GET", "/things/{id}", "get", "T")])
    assert table.find("/things") == table.find("/") == ({}, [])


def test_the_query_wins_over_the_body() -> None:
    """And the path over both."""
    arguments = Arguments(
        {"id": "path"}, {"id": "query", "name": "query"}, {"id": "body", "name": "body", "last": "body"}
    )
    assert [arguments.text(name) for name in ("id", "name", "last", "none")] == ["path", "query", "body", ""]


@pytest.mark.parametrize(
    ("value", "text"), [(["a", "b"], "a,b"), (True, "true"), (False, "false"), (12, "12"), (None, "default")]
)
def test_values_of_the_body_become_text(value: object, text: str) -> None:
    """As if they had stood in the query."""
    assert Arguments(body={"name": value}).text("name", "default") == text


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("-3", -3), ("5x", 5), ("x", 0), ("", 7)])
def test_numbers_are_read_as_c_does(text: str, number: int) -> None:
    """What is no number is 0; what is missing is the default."""
    assert Arguments(query={"n": text}).number("n", 7) == number


@pytest.mark.parametrize(
    ("text", "flag"),
    [("true", True), ("True", True), ("y", True), ("T", True), ("1", True), ("false", False), ("", False)],
)
def test_flags(text: str, flag: bool) -> None:
    """Several words mean yes."""
    assert Arguments(query={"f": text}).flag("f") is flag


def test_variables_are_text() -> None:
    """And anything but an object holds none."""
    assert Arguments(body={"variables": {"A": 1}}).variables() == {"A": "1"}
    assert Arguments(body={"variables": "A"}).variables() == {}


def test_a_required_parameter_is_asked_for() -> None:
    """With 400 and the words of the operation."""
    with pytest.raises(Refused, match="400: give it") as refused:
        Arguments().required("it", "give it")
    assert refused.value.reply.body == {"message": "give it"}
