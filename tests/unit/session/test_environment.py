import shlex

import pytest

from pytest_ari_sla.session.machine.environment import describe_environment, reproducing_command


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["scenarios/", "-n", "2"], "pytest scenarios/ -n 2"),
        (["--ari-url", "http://user:s3cret@pbx:8088"], "pytest --ari-url 'http://…@pbx:8088'"),
        (["--ari-url=http://user:s3cret@pbx:8088/ari"], "pytest '--ari-url=http://…@pbx:8088/ari'"),
        (["--header", "token s3cret"], "pytest --header 'token …'"),
        (["--sla", "rtt.p99 < 60ms"], "pytest --sla 'rtt.p99 < 60ms'"),
    ],
)
def test_the_command_can_be_pasted_and_holds_no_secret(arguments: list[str], command: str) -> None:
    """Whoever reads the report can run it again, but for the password."""
    assert reproducing_command(arguments, "s3cret") == command


def test_without_a_password_nothing_is_left_out() -> None:
    """An empty password is in every text."""
    for password in (None, ""):
        assert shlex.split(reproducing_command(["-k", "echo"], password)) == ["pytest", "-k", "echo"]


def test_the_environment_names_what_matters_for_a_result() -> None:
    """Machine, kernel, interpreter, and the packages that move and measure."""
    environment = describe_environment()
    assert environment.cores
    assert (environment.memory_bytes or 0) > 1 << 20
    assert {"numpy", "cffi", "aiohttp"} <= environment.packages.keys()
