"""The generated reference: ``python -m tests.reference_page`` writes ``plugins/REFERENCE.md``."""

from __future__ import annotations

import inspect
from pathlib import Path

from pytest_ari_sla import options
from pytest_ari_sla.hookspecs import hooks
from pytest_ari_sla.session.plugins.hook_calls import HOOKS
from pytest_ari_sla.session.plugins.registry import builtin_registry

__all__ = ["PAGE", "hook_signature", "reference_page"]

PAGE = Path(__file__).parents[1] / "plugins" / "REFERENCE.md"

INTRODUCTION = """\
# Hooks, metrics and options

Generated from the code by `python -m tests.reference_page`; a test holds it to the code. The way to use all this is in
[README.md](README.md).
"""


def hook_signature(name: str) -> str:
    """Return a hook as it is written in Python: ``name(argument: Type) -> Type``."""
    return f"{name}{inspect.signature(getattr(hooks, name))}".replace("'", "")


def _hooks() -> list[str]:
    lines = ["## Hooks", ""]
    for name in HOOKS:
        lines += [f"### `{hook_signature(name)}`", "", *_plain(inspect.getdoc(getattr(hooks, name)) or ""), ""]
    return lines


def _plain(doc: str) -> list[str]:
    """Return a docstring as text of a page: references as code, its sections as paragraphs of code."""
    text, *sections = doc.replace(":class:`~", "`").replace("``", "`").split("\n\n")
    lines = [text]
    for section in sections:
        under_title = section.split("\n")[1:]
        is_section = under_title and set(under_title[0]) == {"-"}
        lines += ["", *(["```text", *under_title[1:], "```"] if is_section else [section])]
    return lines


def _metrics() -> list[str]:
    lines = ["## Metrics", "", "| Metric | Kind | Unit | Meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{metric.name}` | {metric.kind} | {metric.unit} | {_cell(metric.definition)} |"
        for metric in builtin_registry().catalogue
    ]
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _names(title: str, names: list[str]) -> list[str]:
    return [f"## {title}", "", ", ".join(f"`{name}`" for name in names), ""]


def _options() -> list[str]:
    lines = ["## Options", "", "Each is an ini key as well, without the dashes in front and with `_` for `-`.", ""]
    lines += ["| Option | Meaning |", "|---|---|"]
    for option in options.OPTIONS:
        name, meaning = f"{option.flag} {option.metavar}", option.help.replace("%%", "%")
        lines.append(f"| `{_cell(name)}` | {_cell(meaning)} |")
    return [*lines, ""]


def reference_page() -> str:
    """Return the page."""
    registry = builtin_registry()
    lines = [INTRODUCTION, *_hooks(), *_names("Built-in codecs", list(registry.codecs))]
    lines += _names("Built-in topologies", list(registry.topologies))
    lines += _names("Built-in trackers", list(registry.trackers))
    return "\n".join([*lines, *_metrics(), *_options()])


if __name__ == "__main__":
    PAGE.write_text(reference_page(), encoding="utf-8")
