"""The HTML report: one file that needs nothing else, made from the record alone."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup, escape

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.charts import scenario_charts
from pytest_ari_sla.reporting.charts.over_time import unit_of
from pytest_ari_sla.reporting.figures import counts_of, distributions_of, headline, sections, tiles
from pytest_ari_sla.reporting.findings import excess, findings, since_when
from pytest_ari_sla.reporting.run_comparison import compared_with
from pytest_ari_sla.reporting.wording.values import show, show_change, show_clock

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.reporting.record.run_record import RunRecord, Scenario

__all__ = ["render_html", "template_environment"]

_PACKAGE = "pytest_ari_sla.reporting"
_ASSET_FOLDERS = ("templates", "assets")


def render_html(record: RunRecord, templates_folder: Path | None = None) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    record
        What to show.
    templates_folder
        A team's own templates: a file there takes the place of the one of the same name here, which it can extend as
        ``default/report.html``.

    Raises
    ------
    UsageError
        There is no such folder, or a template of the team cannot be rendered.
    """
    charts = [scenario_charts(scenario, f"s{number}") for number, scenario in enumerate(record.scenarios, 1)]
    chart_data = {
        chart.id: {"option": chart.option, "renderer": chart.renderer, "group": chart.group}
        for sections in charts
        for section in sections.values()
        for chart in section
    }
    if templates_folder is not None and not templates_folder.is_dir():
        raise UsageError(f"{templates_folder} is not a folder of templates")
    try:
        return (
            template_environment(templates_folder)
            .get_template("report.html")
            .render(
                record=record,
                scenarios=list(zip(record.scenarios, charts, strict=True)),
                headline=headline(record),
                chart_data=chart_data,
            )
        )
    except Exception as error:  # a team's template may raise anything
        # Our own templates at fault are a bug of this tool, which wants its traceback.
        if templates_folder is None:
            raise
        reason = str(error) or type(error).__name__
        raise UsageError(f"a template in {templates_folder} cannot be used: {reason}") from error


def template_environment(templates_folder: Path | None = None) -> Environment:
    """Return the Jinja environment of all reports, with autoescape on."""
    own = PackageLoader(_PACKAGE)
    teams = [FileSystemLoader(templates_folder)] if templates_folder else []
    environment = Environment(
        loader=ChoiceLoader([*teams, own, PrefixLoader({"default": own})]),
        # Names and reasons come from the target, and are not to be trusted.
        autoescape=True,
        # A misspelt name in a team's template is an error, not an empty place in the report.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"show": show, "clock": show_clock, "change": show_change, "local_link": _local_link}
    environment.filters |= {"breakable": _breakable}
    environment.globals |= _FUNCTIONS
    return environment


@cache
def _asset(name: str) -> Markup:
    """Return a file of the package to be put into the page as it is."""
    package = resources.files(_PACKAGE)
    path = next(path for folder in _ASSET_FOLDERS if (path := package / folder / name).is_file())
    return Markup(path.read_text(encoding="utf-8"))


def _local_link(path: str) -> str:
    """Return the address of a file beside the report; text that would lead elsewhere becomes a harmless name."""
    return "./" + "/".join(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _breakable(name: str) -> Markup:
    """Return a long name that a narrow page may break behind its words, and not within one."""
    return Markup(re.sub(r"(::|[/_])", r"\1<wbr>", str(escape(name))))


def _unit_of_value(scenario: Scenario, name: str) -> str:
    """Return the unit of a value of one call, named ``metric`` or ``metric.stat``."""
    metric = name if name in scenario.metrics else name.rpartition(".")[0]
    return unit_of(scenario, metric, name)


_FUNCTIONS: dict[str, Any] = {
    "asset": _asset,
    "sections": sections,
    "tiles": tiles,
    "findings": findings,
    "since_when": since_when,
    "excess": excess,
    "distributions_of": distributions_of,
    "counts_of": counts_of,
    "compared_with": compared_with,
    "unit_of": _unit_of_value,
}
