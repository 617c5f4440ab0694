"""The JSON Schema of ``report.json``, made from the record's types and their docstrings so that it cannot drift.

``python -m pytest_ari_sla.reporting.record.schema`` writes ``report.schema.json`` anew after a change of the types.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from pytest_ari_sla.reporting.record import run_record
from pytest_ari_sla.reporting.record.run_record import SCHEMA_VERSION, RunRecord

__all__ = ["report_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE_NAMES = re.compile(r"^(\w+(?:, \w+)*)$")


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a run record."""
    (reference,), definitions = msgspec.json.schema_components([RunRecord], ref_template="#/$defs/{name}")
    for name, definition in definitions.items():
        _describe(definition, getattr(run_record, name))
    definitions["RunRecord"]["properties"]["schema"] = {
        "description": definitions["RunRecord"]["properties"]["schema"]["description"],
        "const": SCHEMA_VERSION,
    }
    # msgspec takes what has a default to be optional; every record has its version.
    definitions["RunRecord"]["required"].insert(0, "schema")
    return {
        "$schema": DIALECT,
        "title": "Report of a pytest-ari-sla run",
        **reference,
        "$defs": definitions,
    }


def _describe(definition: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Put the docstring of a type, and of each of its attributes, into its definition."""
    summary, attributes = _parse_docstring(inspect.getdoc(struct) or "")
    definition["description"] = summary
    for name, schema in definition["properties"].items():
        # A KeyError here is a field that its docstring does not describe.
        schema["description"] = attributes[name]


def _parse_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Split a NumPy docstring into its summary and the description of each attribute."""
    summary, _, section = docstring.partition("\n\nAttributes\n----------\n")
    descriptions: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if match := _ATTRIBUTE_NAMES.match(line):
            names = match[1].split(", ")
        else:
            for name in names:
                descriptions[name] = f"{descriptions.get(name, '')} {line.strip()}".strip()
    return " ".join(summary.split()), descriptions


if __name__ == "__main__":
    text = json.dumps(report_schema(), indent=1, ensure_ascii=False)
    Path(__file__).with_name("report.schema.json").write_text(f"{text}\n", encoding="utf-8")
