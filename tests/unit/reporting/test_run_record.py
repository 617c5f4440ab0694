import json
from importlib import resources

import jsonschema
import msgspec
import numpy as np
import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.record import run_record
from pytest_ari_sla.reporting.record.record_file import decode_record, encode_record
from pytest_ari_sla.reporting.record.schema import report_schema
from tests.unit.reporting.factory import make_record, make_scenario

_SCHEMA = resources.files("pytest_ari_sla.reporting.record").joinpath("report.schema.json")
SHIPPED = json.loads(_SCHEMA.read_text("utf-8"))


def test_the_shipped_schema_is_the_one_that_the_types_give() -> None:
    """The schema in the package is up to date; ``python -m pytest_ari_sla.reporting.record.schema`` writes it anew."""
    assert report_schema() == SHIPPED


def test_the_shipped_schema_is_itself_valid() -> None:
    """The file is a JSON Schema of the 2020-12 dialect."""
    jsonschema.Draft202012Validator.check_schema(SHIPPED)


def test_every_field_of_the_format_is_described() -> None:
    """No type and no field of the schema is without words."""
    for name, definition in SHIPPED["$defs"].items():
        assert definition["description"], name
        assert all(schema["description"] for schema in definition["properties"].values()), name


@pytest.mark.parametrize("kind", ["pass", "fail", "inconclusive"])
def test_a_record_obeys_the_schema(kind: str) -> None:
    """What is written can be read by whoever trusts the schema."""
    record = make_record(make_scenario(kind))  # type: ignore[arg-type]
    jsonschema.Draft202012Validator(SHIPPED).validate(json.loads(encode_record(record)))


def test_a_record_without_a_verdict_breaks_the_schema() -> None:
    """The schema is able to refuse."""
    document = json.loads(encode_record(make_record()))
    del document["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="verdict"):
        jsonschema.Draft202012Validator(SHIPPED).validate(document)


def test_a_record_comes_back_as_it_was() -> None:
    """Writing and reading lose nothing."""
    record = make_record(make_scenario("fail", calls=7), simulated=True)
    assert decode_record(encode_record(record)) == record


def test_fields_of_a_later_version_of_the_same_schema_are_ignored() -> None:
    """The format may grow without a new number."""
    document = msgspec.to_builtins(make_record())
    document["later"] = 1
    assert decode_record(json.dumps(document).encode()) == make_record()


def test_numpy_values_of_a_plugin_become_plain_numbers() -> None:
    """A hook may put what it computed into the record, as it is."""
    record = make_record()
    record.extra = {"mine": {"mean": np.float64(1.5), "all": np.arange(3)}}
    assert decode_record(encode_record(record)).extra == {"mine": {"mean": 1.5, "all": [0, 1, 2]}}


def test_other_objects_in_a_record_are_refused() -> None:
    """What JSON cannot hold is named."""
    record = make_record()
    record.extra = {"mine": object()}
    with pytest.raises(TypeError, match="plain values, not object"):
        encode_record(record)


def test_what_is_not_a_number_becomes_null() -> None:
    """NaN and infinity are not JSON."""
    record = make_record()
    record.scenarios[0].time_series["t"] = [float("nan"), float("inf"), 1.0]
    assert decode_record(encode_record(record)).scenarios[0].time_series["t"] == [None, None, 1.0]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<html>", "not a report"),
        (b"[]", "not a report"),
        (b"{}", "missing required field `schema`"),
        (b'{"schema": 1}', "missing required field `run`"),
        (b'{"schema": 2}', "has schema 2; this version of pytest-ari-sla reads up to 1"),
    ],
)
def test_a_foreign_file_is_refused_with_its_name(content: bytes, complaint: str) -> None:
    """The message says which file, and what is wrong with it."""
    with pytest.raises(UsageError, match=f"other.json.*{complaint}"):
        decode_record(content, "other.json")


def test_all_types_of_the_record_are_exported() -> None:
    """Whoever builds a record finds every part of it."""
    structs = {
        name
        for name, value in vars(run_record).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value is not msgspec.Struct
    }
    assert structs <= set(run_record.__all__)
