"""What mkdocs calls: adds pages to the site that are generated, or stand elsewhere in the repository."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

PAGES = {
    "how-to/extend.md": ROOT / "plugins" / "README.md",
    "reference/hooks.md": ROOT / "plugins" / "REFERENCE.md",
    "changes.md": ROOT / "CHANGELOG.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
    "security.md": ROOT / "SECURITY.md",
}
"""Pages of the site that stand elsewhere, since that is where people look for them in a checkout."""

_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    pages = {name: as_page(source, name) for name, source in PAGES.items()}
    pages |= {"reference/verdicts.md": verdicts_page(), "reference/report-json.md": schema_page()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def verdicts_page() -> str:
    """Return what the code says of errors and guards."""
    from pytest_ari_sla import errors
    from pytest_ari_sla.sla import guards

    return "\n".join(
        [
            "# Verdicts, and who is to blame",
            "",
            "`pass`: all thresholds held. `fail`: one did not, or nothing could be measured. `inconclusive`: the load",
            "generator did not do what was asked of it, so that nobody can tell. Why that is so is explained in",
            "[why a verdict is inconclusive](../explanation/inconclusive.md).",
            "",
            "## Errors",
            "",
            "Each error names the side that is at fault. This is what the code says of them:",
            "",
            "```text",
            errors.__doc__ or "",
            "```",
            "",
            "## Guards",
            "",
            "```text",
            guards.__doc__ or "",
            "```",
            "",
        ]
    )


def schema_page() -> str:
    """Return the schema of report.json."""
    (file,) = (ROOT / "pytest_ari_sla").rglob("report.schema.json")
    schema = file.read_text(encoding="utf-8")
    return (
        "# report.json\n\nEverything that a run knows, for programs; all other formats are made from it. New keys may\n"
        f"come, those that are here stay. Its JSON Schema:\n\n```json\n{schema}```\n"
    )


def as_page(source: Path, name: str) -> str:
    """Return a file of the repository as a page: links between pages lead there, others are names of files."""
    at = {page.resolve(): target for target, page in PAGES.items()}

    def moved(link: re.Match[str]) -> str:
        path = (source.parent / link[1]).resolve()
        if path not in at:
            return f"] (`{path.relative_to(ROOT).as_posix()}`)"
        up = "../" * name.count("/")
        return f"]({up}{at[path]}{link[2] or ''})"

    text = _LINK.sub(moved, source.read_text(encoding="utf-8"))
    return re.sub(r"\[([^\]]+)\] \((`[^`]+`)\)", r"\1 (\2)", text)
