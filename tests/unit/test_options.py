from __future__ import annotations

import re

import pytest

from pytest_ari_sla.options import OPTIONS, settings_from
from pytest_ari_sla.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of the developer's own settings."""
    for name in ("ARI_URL", "ARI_USER", "ARI_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def settings_of(pytester: pytest.Pytester, ini: str, arguments: list[str]) -> Settings:
    """Return what a session would work with."""
    pytester.makeini(f"[pytest]\n{ini}\n")
    return settings_from(pytester.parseconfig(*arguments))


@pytest.mark.parametrize(
    ("field", "ini", "environment", "arguments", "shown"),
    [
        ("ari_user", "ari_user = ini", {}, [], "ini"),
        ("ari_user", "ari_user = ini", {"ARI_USER": "environment"}, [], "environment"),
        ("ari_user", "ari_user = ini", {"ARI_USER": "environment"}, ["--ari-user=line"], "line"),
        ("ari_url", "ari_url = http://ini", {"ARI_URL": "http://environment"}, [], "http://environment"),
        ("calls", "ari_calls = 5", {}, [], "5"),
        ("calls", "ari_calls = 5", {}, ["--ari-calls=7"], "7"),
        ("duration_ns", "ari_duration = 1m30s", {}, [], "90000000000"),
        ("rtp_ports", "", {}, ["--ari-rtp-ports=20000-20999"], "(20000, 20999)"),
        ("pacing_limit_s", "", {}, [], "0.005"),
        ("sla", "sla = rtt.p99 < 1s", {}, ["--sla=rtt.p50 < 1s"], "('rtt.p50 < 1s',)"),
        ("sla_ini", "sla =\n  rtt.p99 < 1s\n  setup.p99 < 2s", {}, [], "('rtt.p99 < 1s', 'setup.p99 < 2s')"),
        ("ari_password", "", {"ARI_PASSWORD": "secret"}, [], "secret"),
    ],
)
def test_the_command_line_wins_over_the_environment_and_that_over_ini(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    ini: str,
    environment: dict[str, str],
    arguments: list[str],
    shown: str,
) -> None:
    """One table of options serves all three places; thresholds are kept by where they come from."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(getattr(settings_of(pytester, ini, arguments), field)) == shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ari-calls=none"], "--ari-calls: 'none' is not a whole number of at least 1"),
        (["--ari-duration=0s"], "--ari-duration: '0s' is no time at all"),
        (["--ari-rtp-ports=5-1"], "--ari-rtp-ports: '5-1' is not a range of ports"),
        (["--ari-password-file=nowhere"], "--ari-password-file: there is no file 'nowhere'"),
        (["--asterisk=nowhere"], "--asterisk: there is no 'nowhere'; give an asterisk binary"),
        (["--sla-live=loud"], "--sla-live: 'loud' is none of auto, on, off"),
        (["--ari-echo=here"], "--ari-echo: 'here' is not an address; write HOST:PORT"),
        (["--asterisk=.", "--ari-url=http://u:p@pbx"], "--asterisk and --ari-url name two targets"),
    ],
)
def test_a_value_that_cannot_be_used_is_a_usage_error(
    pytester: pytest.Pytester, arguments: list[str], sentence: str
) -> None:
    """With the option's name."""
    with pytest.raises(pytest.UsageError, match=re.escape(sentence)):
        settings_of(pytester, "", arguments)


def test_a_wrong_value_in_an_ini_file_names_the_file(pytester: pytest.Pytester) -> None:
    """And its key."""
    with pytest.raises(pytest.UsageError, match=r"ari_calls in .*tox\.ini: 'many' is not a whole number"):
        settings_of(pytester, "ari_calls = many", [])


def test_nothing_given_leaves_the_defaults(pytester: pytest.Pytester) -> None:
    """They are in one place."""
    assert settings_of(pytester, "", []) == Settings()


def test_a_private_asterisk_outweighs_an_address_left_in_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for it on the command line means it."""
    monkeypatch.setenv("ARI_URL", "http://elsewhere")
    settings = settings_of(pytester, "", ["--asterisk=."])
    assert (settings.asterisk, settings.ari_url) == (".", None)


def test_a_password_is_read_from_its_file_and_never_shown(pytester: pytest.Pytester) -> None:
    """Without the line end that editors add; the file wins over the environment."""
    pytester.path.joinpath("password").write_text("pass word\n")
    settings = settings_of(pytester, "", ["--ari-password-file=password"])
    assert settings.ari_password == "pass word"
    assert "pass word" not in repr(settings)


def test_every_option_sets_a_field_that_exists() -> None:
    """And each field is set by one option only."""
    fields = [option.setting for option in OPTIONS]
    assert len(set(fields)) == len(fields)
    assert set(fields) | {"sla_ini"} == set(Settings.__dataclass_fields__)


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [
        ({"ARI_URL": ""}, []),
        ({"ARI_URL": "  "}, []),
        ({"ARI_URL": "http://pbx", "ARI_USER": ""}, []),
        ({"ARI_URL": "http://pbx", "ARI_PASSWORD": ""}, []),
        ({"ARI_PASSWORD": " "}, ["--ari-url=http://pbx"]),
        ({}, ["--ari-url="]),
        ({}, ["--asterisk="]),
        ({}, ["--sla-baseline="]),
        ({}, ["--ari-calls="]),
    ],
)
def test_what_is_set_but_empty_is_a_mistake_and_not_a_wish_for_the_default(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], arguments: list[str]
) -> None:
    """A missing secret of a CI job must not turn the target into the simulator, or a comparison off."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(pytest.UsageError, match="set, but empty"):
        settings_from(pytester.parseconfig(*arguments))


@pytest.mark.parametrize("arguments", [["--ari-url=http://pbx"], ["--asterisk=/"], ["--ari-target=simulator"]])
def test_an_empty_variable_does_not_matter_where_the_target_is_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Whoever names the target has not forgotten it."""
    monkeypatch.setenv("ARI_URL", "")
    settings_from(pytester.parseconfig(*arguments))


@pytest.mark.parametrize("demanded", ["external", "private", "simulator"])
@pytest.mark.parametrize(
    ("kind", "arguments"), [("external", ["--ari-url=http://pbx"]), ("private", ["--asterisk=/"]), ("simulator", [])]
)
def test_no_other_target_than_the_demanded_one_is_accepted(
    pytester: pytest.Pytester, demanded: str, kind: str, arguments: list[str]
) -> None:
    """A gate that silently tests the simulator is always green."""
    config = pytester.parseconfig(f"--ari-target={demanded}", *arguments)
    if demanded == kind:
        assert settings_from(config).target_kind == kind
    else:
        with pytest.raises(pytest.UsageError, match=f"demands the target {demanded}, but .* would be {kind}"):
            settings_from(config)


def test_a_report_goes_where_one_can_be_written(pytester: pytest.Pytester) -> None:
    """A file in its place is found before the first call; a folder that can be made is not left behind by the trial."""
    pytester.makefile(".txt", report="mine")
    for wrong in ("report.txt", "report.txt/deeper", "/proc/nothing"):
        with pytest.raises(pytest.UsageError, match=f"--sla-report: no report can be written into '{wrong}'"):
            settings_from(pytester.parseconfig(f"--sla-report={wrong}"))
    assert settings_from(pytester.parseconfig("--sla-report=new/deep")).report_folder == "new/deep"
    assert not (pytester.path / "new").exists()


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfs3cret", b"s3cret\r\n", "s3cr\u00ebt".encode()])
def test_a_password_file_may_come_from_any_editor(pytester: pytest.Pytester, content: bytes) -> None:
    """A byte order mark and line ends of Windows are not part of the password."""
    pytester.path.joinpath("password").write_bytes(content)
    settings = settings_of(pytester, "", ["--ari-password-file=password"])
    assert settings.ari_password in ("s3cret", "s3cr\u00ebt")


@pytest.mark.parametrize(
    ("content", "words"), [(b"s3cr\xebt", "is not UTF-8"), (b"\n", "on one line"), (b"user\npassword", "on one line")]
)
def test_a_password_file_that_cannot_be_one_is_refused(pytester: pytest.Pytester, content: bytes, words: str) -> None:
    """Before anything is connected, and without showing what it holds."""
    pytester.path.joinpath("password").write_bytes(content)
    with pytest.raises(pytest.UsageError, match=words):
        settings_of(pytester, "", ["--ari-password-file=password"])


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--ari-media-host", "::1", "is an IPv6 address, and media travels over IPv4 here"),
        ("--ari-media-bind", "fe80::1%eth0", "is an IPv6 address"),
        ("--ari-asterisk-media", "2001:db8::7", "is an IPv6 address"),
        ("--ari-media-host", "192.0.2.1:4000", "is not an address"),
        ("--ari-media-host", "10.0.0.300", "is not an address"),
        ("--ari-media-host", "10.0.0", "is not an address"),
        ("--ari-media-bind", "my host", "is not an address"),
        ("--ari-asterisk-media", "http://pbx", "is not an address"),
        ("--ari-relay", "[::1]:4000", "is not an address; write HOST:PORT"),
    ],
)
def test_an_address_that_media_cannot_have_is_refused(
    pytester: pytest.Pytester, option: str, value: str, problem: str
) -> None:
    """Before anything is opened, with the option's name."""
    with pytest.raises(pytest.UsageError, match=re.escape(problem)) as refused:
        settings_of(pytester, "", [f"{option}={value}"])
    assert str(refused.value).startswith(f"{option}: {value!r}")


@pytest.mark.parametrize(
    "value", ["192.0.2.1", "pbx", "pbx-1.example.org", "host.docker.internal", "sip_pbx", "0.0.0.0"]
)
def test_names_and_ipv4_addresses_are_taken_for_media(pytester: pytest.Pytester, value: str) -> None:
    """As they stand: whose they are shows when they are used."""
    assert settings_of(pytester, "", [f"--ari-media-host={value}"]).media_host == value


def test_configuration_is_for_a_private_asterisk(pytester: pytest.Pytester) -> None:
    """Whoever runs another one configures that."""
    with pytest.raises(pytest.UsageError, match="--asterisk-config is for the private Asterisk"):
        settings_of(pytester, "", ["--asterisk-config=."])
    settings = settings_of(pytester, "", ["--asterisk=.", "--asterisk-config=.", "--app=python bot.py"])
    assert (settings.asterisk_config, settings.app) == (".", "python bot.py")
