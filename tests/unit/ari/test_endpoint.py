from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari.endpoint import AriEndpoint, parse_ari_url, redact
from pytest_ari_sla.errors import UsageError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://pbx:8088", AriEndpoint("http://pbx:8088/ari")),
        ("http://pbx:8088/", AriEndpoint("http://pbx:8088/ari")),
        ("http://pbx:8088/ari/", AriEndpoint("http://pbx:8088/ari")),
        ("https://pbx/voice/ari", AriEndpoint("https://pbx/voice/ari")),
        ("http://u:secret@pbx:8088/ari", AriEndpoint("http://pbx:8088/ari", "u", "secret")),
        ("http://u@pbx:8088", AriEndpoint("http://pbx:8088/ari", "u", "")),
        ("http://u%40x:p%2Fq%3Ar@pbx:8088", AriEndpoint("http://pbx:8088/ari", "u@x", "p/q:r")),
        ("http://[2001:db8::1]:8088", AriEndpoint("http://[2001:db8::1]:8088/ari")),
    ],
)
def test_a_url_is_read_into_its_parts(url: str, expected: AriEndpoint) -> None:
    """Path and credentials are optional, and the credentials never stay in the base URL."""
    assert parse_ari_url(url) == expected


@pytest.mark.parametrize(
    ("url", "host", "port", "is_encrypted"),
    [
        ("http://pbx", "pbx", 80, False),
        ("https://pbx", "pbx", 443, True),
        ("https://[::1]:8089", "::1", 8089, True),
    ],
)
def test_host_port_and_encryption_follow_from_the_url(url: str, host: str, port: int, is_encrypted: bool) -> None:
    """A URL without a port means the scheme's own."""
    endpoint = parse_ari_url(url)
    assert (endpoint.host, endpoint.port, endpoint.is_encrypted) == (host, port, is_encrypted)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "neither http nor https"),
        ("pbx:8088", "neither http nor https"),
        ("ftp://u:secret@pbx", "neither http nor https"),
        ("http://u:secret@/ari", "no host"),
        ("http://u:secret@pbx:99999", "host and port cannot be read"),
        ("http://u:secret@pbx:eighty", "host and port cannot be read"),
        ("http://u:secret@pbx:0", "host and port cannot be read"),
        ("http://[::1", "host and port cannot be read"),
        ("http://u:se/cret@pbx:8088", "host and port cannot be read"),
        ("http://u:secret@pbx/asterisk", "does not end with /ari"),
        ("http://u:secret@pbx/ari?api_key=u:secret", "query or fragment"),
        ("http://u:secret@pbx/ari#secret", "query or fragment"),
        ("http://u:sec ret@pbx", "white space or control"),
        ("http://u:secret@pbx\n/ari", "white space or control"),
        ("http://u:secret@pbx/\x00ari", "white space or control"),
        ("http://u%3Ax:secret@pbx", "colon"),
    ],
)
def test_rubbish_is_refused_in_one_sentence(url: str, problem: str) -> None:
    """The sentence says what is wrong and what is expected, and is the user's to act on."""
    with pytest.raises(UsageError, match=problem) as caught:
        parse_ari_url(url)
    assert "http(s)://[user[:password]@]host[:port][/ari]" in str(caught.value)


@given(st.text(st.characters(blacklist_characters="%"), min_size=4).map(lambda text: f"s3c{text}r3t"))
def test_a_refusal_never_shows_the_password(password: str) -> None:
    """Also where the password itself is what makes the URL unusable."""
    with pytest.raises(UsageError) as caught:
        parse_ari_url(f"http://user:{password}@pbx:8088/nowhere")
    assert password not in str(caught.value)
    assert "s3c" not in str(caught.value)
    assert "r3t" not in str(caught.value)


def test_the_password_is_in_no_representation() -> None:
    """An endpoint can be logged."""
    endpoint = parse_ari_url("http://user:hush@pbx:8088")
    assert "hush" not in repr(endpoint)
    assert "hush" not in str(endpoint)


def test_the_authorization_header_is_basic_authentication_in_utf8() -> None:
    """RFC 7617, section 2.1."""
    endpoint = AriEndpoint("http://pbx/ari", "test", "123£")
    scheme, _, encoded = endpoint.authorization.partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded).decode() == "test:123£"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@pbx:8088", "http://…@pbx:8088"),
        ("http://u:p@q/r@pbx", "http://…@pbx"),
        ("http://pbx:8088", "http://pbx:8088"),
        ("u:p@pbx", "…"),
    ],
)
def test_redaction_takes_out_everything_that_may_be_secret(url: str, shown: str) -> None:
    """Without a scheme nothing tells credentials from the rest, so nothing is shown."""
    assert redact(url) == shown
