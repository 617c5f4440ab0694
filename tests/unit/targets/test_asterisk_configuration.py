from __future__ import annotations

import configparser
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from pytest_ari_sla.targets.asterisk.configuration import MODULES, AsteriskConfiguration, render_configuration

if TYPE_CHECKING:
    from pathlib import Path

WORK = cast("Path", PurePosixPath("/work"))  # nothing here touches a disk


def configuration(**changes: Any) -> AsteriskConfiguration:
    """Return a configuration with some values of its own."""
    values: dict[str, Any] = {
        "work_folder": WORK,
        "modules_folder": WORK / "modules",
        "data_folder": WORK / "data",
        "address": "127.0.0.1",
        "ari_port": 8088,
        "sip_port": 5060,
        "user": "tester",
        "password": "secret",
        "rtp_ports": (10_000, 10_099),
        "session_limit": 50,
        "open_files": 1000,
    }
    return AsteriskConfiguration(**{**values, **changes})


def parsed(text: str) -> configparser.ConfigParser:
    """Read a configuration file whose sections hold no name twice."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser


def test_ari_listens_on_the_given_address_and_port_only() -> None:
    """Neither the HTTP server nor the manager is open to the network."""
    files = render_configuration(configuration())
    http = parsed(files["http.conf"])["general"]
    assert (http["bindaddr"], http["bindport"], http["sessionlimit"]) == ("127.0.0.1", "8088", "50")
    assert parsed(files["manager.conf"])["general"]["enabled"] == "no"


def test_the_one_user_has_the_password_and_the_representation_hides_it() -> None:
    """A failing start prints its configuration."""
    files = render_configuration(configuration())
    assert parsed(files["ari.conf"])["tester"]["password"] == "secret"
    assert "secret" not in repr(configuration())


def test_everything_is_written_into_the_work_folder() -> None:
    """Only modules and data are read from the installation."""
    folders = parsed(render_configuration(configuration())["asterisk.conf"])["directories"]
    outside = {name for name, folder in folders.items() if not folder.startswith("/work/")}
    assert outside == set()
    assert (folders["astmoddir"], folders["astdatadir"]) == ("/work/modules", "/work/data")


def test_rtp_ports_and_open_files_are_as_asked_for() -> None:
    """What the preflight knows of a private Asterisk is what it runs with."""
    files = render_configuration(configuration())
    rtp = parsed(files["rtp.conf"])["general"]
    assert (rtp["rtpstart"], rtp["rtpend"]) == ("10000", "10099")
    assert parsed(files["asterisk.conf"])["options"]["maxfiles"] == "1000"


def test_modules_are_loaded_in_the_given_order_and_no_others() -> None:
    """Nothing is loaded by itself."""
    lines = render_configuration(configuration(modules=["b", "a"]))["modules.conf"].splitlines()
    assert lines == ["[modules]", "autoload = no", "load = b.so", "load = a.so"]


def test_no_module_is_named_twice() -> None:
    """Asterisk would load it once and complain."""
    assert len(set(MODULES)) == len(MODULES)


def test_files_of_the_caller_replace_ours() -> None:
    """A team adds its dialplan, or changes a limit."""
    files = render_configuration(configuration(files={"extensions.conf": "[mine]\n", "new.conf": "[x]\n"}))
    assert files["extensions.conf"] == "[mine]\n"
    assert files["new.conf"] == "[x]\n"


def test_sip_callers_come_in_at_the_given_address_with_the_one_users_password() -> None:
    """Over UDP and TCP; an IPv6 address stands in brackets."""
    text = render_configuration(configuration(address="::1"))["pjsip.conf"]
    assert text.count("bind = [::1]:5060") == 2
    assert {"protocol = udp", "protocol = tcp", "username = tester", "password = secret"} <= set(text.splitlines())
