"""The command line and ini values, one table for both, and how they become settings."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_ari_sla.arguments import (
    parse_file,
    parse_host,
    parse_host_port,
    parse_port,
    parse_port_range,
    parse_secret_file,
)
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OPTIONS", "Option", "add_options", "settings_from"]


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:  # int() takes "+1", "1_000" and blanks as well
        raise UsageError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _duration_ns(text: str) -> int:
    from pytest_ari_sla.metrics.units import parse_duration_ns

    if parse_duration_ns(text) <= 0:
        raise UsageError(f"{text!r} is no time at all")
    return parse_duration_ns(text)


def _seconds(text: str) -> float:
    return _duration_ns(text) / 1e9


def _ports(text: str) -> tuple[int, int]:
    return parse_port_range(text, lowest=1024)


def _share(text: str) -> float:
    from pytest_ari_sla.metrics.units import parse_share

    return parse_share(text)


def _extension(text: str) -> tuple[str, str]:
    extension, at, context = text.partition("@")
    if not at or not extension or not context:
        raise UsageError(f"{text!r} is not an extension; write EXTENSION@CONTEXT, such as echo@default")
    return context, extension


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise UsageError(f"{text!r} is none of {', '.join(allowed)}")
        return text

    return parse


def _report(text: str) -> str:
    from pytest_ari_sla.reporting.record.record_file import read_record

    read_record(Path(text))
    return str(Path(text).resolve())


def _against(text: str) -> str:
    """Check what loads are compared against: a URL, a report, or an Asterisk."""
    if "://" in text:
        from pytest_ari_sla.ari.endpoint import parse_ari_url

        parse_ari_url(text)
        return text
    return _report(text) if _is_report(text) else _path(text)


def _is_report(text: str) -> bool:
    from pytest_ari_sla.reporting.record.record_file import RECORD_NAME

    return Path(text).suffix == ".json" or (Path(text) / RECORD_NAME).is_file()


def _report_folder(text: str) -> str:
    from pytest_ari_sla.reporting.places import check_folder

    check_folder(Path(text))
    return text


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise UsageError(f"there is no folder {text!r}")
    return text


def _path(text: str) -> str:
    if not Path(text).expanduser().exists():
        raise UsageError(f"there is no {text!r}; give an asterisk binary, or the root folder of a system that has one")
    return str(Path(text).expanduser())  # in an ini file, no shell has done it


def _capture_policy(text: str) -> str:
    found = re.fullmatch(r"worst:[1-9]\d*|failed|all|off", text)
    if found is None:
        raise UsageError(f"{text!r} does not say which calls to capture; write worst:5, failed, all or off")
    return text


def _port(text: str) -> int:
    return parse_port(text, lowest=1)


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes
    ----------
    flag
        On the command line; the ini key is the same with underscores.
    setting
        The field of :class:`~pytest_ari_sla.settings.Settings` that it sets.
    help
        One line.
    parse
        From text to the field's value; raises UsageError.
    metavar
        How the value is called in help.
    variable
        The environment variable that serves between the command line and ini.
    many
        Whether it may be given several times.
    ini_setting
        The field that its ini values go to, where it matters which of the two they come from.
    """

    flag: str
    setting: str
    help: str
    parse: Callable[[str], Any] = str
    metavar: str = "TEXT"
    variable: str | None = None
    many: bool = False
    ini_setting: str | None = None

    @property
    def key(self) -> str:
        """Name in ini files and of the parsed command line."""
        return self.flag.removeprefix("--").replace("-", "_")


OPTIONS = (
    Option("--ari-url", "ari_url", "ARI of the target: http(s)://[user[:password]@]host:port[/ari]", str, "URL",
           "ARI_URL"),
    Option("--ari-user", "ari_user", "user of ARI", str, "NAME", "ARI_USER"),
    Option("--ari-password-file", "ari_password", "file that holds ARI's password; or ARI_PASSWORD", parse_secret_file,
           "FILE"),
    Option("--ari-ca-file", "ari_ca_file", "CA that signed the certificate of an https target", parse_file, "FILE"),
    Option("--ari-tls-verify", "ari_insecure", "check the certificate of an https target: yes or no",
           lambda text: _choice("yes", "no")(text) == "no", "yes|no"),
    Option("--asterisk", "asterisk", "start a private Asterisk: a binary, or a root folder that holds one", _path,
           "PATH"),
    Option("--asterisk-config", "asterisk_config", "folder of configuration files, and sounds, that the private "
           "Asterisk has besides ours, or instead of ours of the same name", _folder, "DIR"),
    Option("--app", "app", "the application under test: a command, started for the run with ARI_URL, ARI_USER and "
           "ARI_PASSWORD, and waited for until it has subscribed", str, "COMMAND"),
    Option("--ari-target", "target_kind", "refuse every other target than this: external, private or simulator",
           _choice("external", "private", "simulator"), "KIND"),
    Option("--ari-calls", "calls", "number of calls of every load, over the whole fleet", _count, "N"),
    Option("--ari-duration", "duration_ns", "duration of every load: 30s, 10m, 8h", _duration_ns, "TIME"),
    Option("--ari-media-host", "media_host", "address that Asterisk is told to send media to", parse_host, "HOST"),
    Option("--ari-media-bind", "media_bind", "address of this machine that takes media, where it is another one "
           "(NAT, containers)", parse_host, "HOST"),
    Option("--ari-asterisk-media", "asterisk_media", "address to send media to, instead of what Asterisk announces",
           parse_host, "HOST"),
    Option("--ari-rtp-ports", "rtp_ports", "ports that RTP sockets are leased from", _ports, "LOW-HIGH"),
    Option("--ari-echo-extension", "echo_extension", "extension that runs Echo()", _extension, "EXTEN@CONTEXT"),
    Option("--ari-relay", "relay", "control address of a running `ari-sla relay`", parse_host_port, "HOST:PORT"),
    Option("--ari-echo", "echo", "address of a running `ari-sla echo`", parse_host_port, "HOST:PORT"),
    Option("--ari-realtime", "realtime", "move packets under SCHED_FIFO where allowed: auto or off",
           lambda text: _choice("auto", "off")(text) == "auto", "auto|off"),
    Option("--sla", "sla", "one more threshold for every scenario; repeatable", str, "EXPR", many=True,
           ini_setting="sla_ini"),
    Option("--sla-inconclusive", "inconclusive", "what an inconclusive verdict is to pytest", _choice("fail", "pass"),
           "fail|pass"),
    Option("--sla-pacing-limit", "pacing_limit_s", "largest p99 of our own pacing error (5ms)", _seconds, "TIME"),
    Option("--sla-report", "report_folder", "where to write reports; default: reports/<start>-<run id>",
           _report_folder, "DIR"),
    Option("--sla-baseline", "baseline", "report.json, or a report's folder, to compare with", _report, "FILE"),
    Option("--sla-max-regression", "max_regression", "relative change for the worse that is accepted (10%%)", _share,
           "SHARE"),
    Option("--sla-baseline-floor", "baseline_floor_s", "time by which a figure may get worse in any case (100us)",
           _seconds, "TIME"),
    Option("--sla-against", "against", "another target to make each load on as well, in turns, and to compare with: an "
           "ARI URL, an asterisk binary or root folder, or a report", _against, "URL|PATH"),
    Option("--sla-live", "live", "live console", _choice("auto", "on", "off"), "auto|on|off"),
    Option("--sla-templates", "templates", "folder of templates that override blocks of the report", _folder, "DIR"),
    Option("--sla-capture", "capture", "whose packets to keep: worst:N, failed, all, off (worst:5)", _capture_policy,
           "POLICY"),
    Option("--sla-forensics", "forensics", "where the target stalls or dies, keep who waits for what, events, log and "
           "stacks: auto or off (auto)", lambda text: _choice("auto", "off")(text) == "auto", "auto|off"),
    Option("--sla-prometheus", "prometheus_port", "serve metrics on this port during the run", _port, "PORT"),
)  # fmt: skip


def add_options(parser: pytest.Parser) -> None:
    """Add all options to pytest's command line and ini."""
    group = parser.getgroup("ari-sla", "load and SLA tests of Asterisk and ARI applications")
    for option in OPTIONS:
        group.addoption(
            option.flag,
            dest=option.key,
            action="append" if option.many else "store",
            default=None,  # not the real one: it would outweigh the environment and ini
            metavar=option.metavar,
            help=option.help,
        )
        kind: Literal["linelist", "string"] = "linelist" if option.many else "string"
        # argparse reads "%" in a help; pytest shows that of ini as it is.
        parser.addini(option.key, option.help.replace("%%", "%"), type=kind, default=None)


def settings_from(config: pytest.Config) -> Settings:
    """Return the settings of a session.

    The command line wins over the environment, and that over ini. Thresholds of both are kept, each in its own field.

    Raises
    ------
    pytest.UsageError
        A value cannot be used.
    """
    values: dict[str, Any] = {}
    for option in OPTIONS:
        if option.ini_setting is not None:
            values[option.setting] = tuple(config.getoption(option.key) or ())
            values[option.ini_setting] = tuple(config.getini(option.key) or ())
            continue
        source, text = _text_of(option, config)
        if text is None:
            continue
        if not str(text).strip():
            raise pytest.UsageError(f"{source} is set, but empty: is a secret or a variable missing?")
        try:
            values[option.setting] = option.parse(str(text))
        except (UsageError, OSError) as error:
            raise pytest.UsageError(f"{source}: {error}") from error
    values.setdefault("ari_password", os.environ.get("ARI_PASSWORD"))
    if values.get("asterisk") and config.getoption("ari_url") is None:
        values["ari_url"] = None  # an ARI_URL left in the environment does not outweigh --asterisk
    elif values.get("asterisk") and values.get("ari_url"):
        raise pytest.UsageError("--asterisk and --ari-url name two targets: give one of them")
    _check_target(values)
    _settle_against(values)
    return Settings(**values)


def _settle_against(values: dict[str, Any]) -> None:
    """Take a report that loads are to be compared against for what it is: a baseline."""
    against = values.get("against")
    if against is None:
        return
    if values.get("baseline"):
        raise pytest.UsageError("--sla-against and --sla-baseline name two runs to compare with: give one of them")
    if "://" not in against and _is_report(against):
        values["baseline"], values["against"] = against, None


_WITHOUT = {
    "external": "neither --ari-url nor ARI_URL nor ari_url in the ini file names one",
    "private": "--asterisk does not name one",
    "simulator": "another one is named, by --asterisk, --ari-url, ARI_URL or the ini file",
}


def _check_target(values: dict[str, Any]) -> None:
    """Refuse another target than the one that is demanded, and an address whose credentials got lost."""
    kind = "private" if values.get("asterisk") else "external" if values.get("ari_url") else "simulator"
    demanded = values.get("target_kind")
    if values.get("asterisk_config") and kind != "private":
        raise pytest.UsageError("--asterisk-config is for the private Asterisk that --asterisk PATH starts")
    if demanded not in (None, kind):
        raise pytest.UsageError(
            f"--ari-target demands the target {demanded}, but {_WITHOUT[demanded]}: it would be {kind}"
        )
    if kind == "external" and values["ari_password"] is not None and not values["ari_password"].strip():
        raise pytest.UsageError("ARI's password is set, but empty: is a secret or a variable missing?")


def _text_of(option: Option, config: pytest.Config) -> tuple[str, Any]:
    """Return where a value comes from, and the value; None where there is none."""
    given = config.getoption(option.key)
    ini = config.getini(option.key)
    if given is not None:
        return option.flag, given
    if option.variable and option.variable in os.environ and not _is_outweighed(option, config):
        return option.variable, os.environ[option.variable]
    return f"{option.key} in {config.inipath}", ini


def _is_outweighed(option: Option, config: pytest.Config) -> bool:
    """Tell whether what the environment says of an external target does not matter, since it is not the target."""
    names = ("asterisk", "ari_url") if option.key == "ari_url" else ("asterisk",)
    return any(config.getoption(name) for name in names) or (
        config.getoption("ari_target") == "simulator" and not os.environ.get(str(option.variable), "").strip()
    )
