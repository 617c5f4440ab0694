"""Nothing that comes as an answer of ARI raises anything but what says that it cannot be read."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import pytest

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.ari.lenient import decode_answer
from pytest_ari_sla.ari.resources import AsteriskInfo, Channel
from pytest_ari_sla.ari_client.faults import error_of_answer
from pytest_ari_sla.ari_client.removal.sweep import FAILURES, Sweeper
from pytest_ari_sla.ari_client.requests import AriClient
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.settings import TlsTrust
from tests.unit.ari_client.hostile_answers import GOOD, hostile_answers
from tests.unit.hostile import seed

ANSWERS = int(os.environ.get("HOSTILE_ANSWERS", "3000"))
"""How many of them; ``make soak`` gives 100,000."""

ENDPOINT = AriEndpoint("http://127.0.0.1:9/ari", "ari", "secret")


class Asked(Sweeper):
    """A sweeper that is told its answers."""

    body = b""

    def _request(self, method: str, path: str) -> bytes:
        return self.body


def test_hostile_answers_are_records_of_the_right_types_or_unreadable() -> None:
    """Whatever is read can be written again; one that lost nothing says the same."""
    read = 0
    for kind, body in hostile_answers(Random(seed()), ANSWERS):
        try:
            record: Any = decode_answer(body, kind)
        except msgspec.DecodeError:
            continue
        read += 1
        assert decode_answer(msgspec.json.encode(record), kind) == record
    assert ANSWERS // 20 < read < ANSWERS


def test_hostile_answers_that_refuse_are_an_error_of_ours_in_one_line() -> None:
    """Also those whose reason is not a text, not UTF-8, or nested without end; none shows a password."""
    random = Random(seed())
    for _, body in hostile_answers(random, ANSWERS // 10):
        status = random.choice((300, 400, 401, 403, 404, 409, 422, 500, 501, 502, 503, 599))
        error = error_of_answer(ENDPOINT, "POST", "/channels", status, body, is_ari=random.random() < 0.5)
        assert isinstance(error, SlaError)
        assert "secret" not in str(error)
        str(error).encode()


def test_hostile_answers_do_not_end_a_sweep_by_surprise() -> None:
    """Whoever clears up after a death must come to its end."""
    sweeper = Asked(ENDPOINT, tls_context(TlsTrust(verify=False)))
    for _, sweeper.body in hostile_answers(Random(seed()), ANSWERS // 10):
        try:
            assert all(isinstance(leftover.identity, str) for leftover in sweeper.found())
        except FAILURES:
            continue


def test_an_error_whose_reason_is_nested_without_end_is_an_error_of_ours() -> None:
    """One of 100,000 hostile answers was."""
    body = b'{"id":' * 100_000
    assert "answered 500" in str(error_of_answer(ENDPOINT, "POST", "/channels", 500, body, is_ari=True))


@pytest.mark.parametrize("kind", GOOD)
def test_the_good_answers_that_they_are_made_of_are_read_whole(kind: Any) -> None:
    """Else the others would prove little."""
    body = msgspec.json.encode(GOOD[kind])
    assert decode_answer(body, kind) == msgspec.convert(GOOD[kind], kind)
    assert decode_answer(msgspec.json.encode(GOOD[Channel]), Channel).id == "sla-1.c0000001"


HTTP = {
    "nothing": b"",
    "no HTTP": b"\x00\x01\x02 hello\r\n\r\n",
    "HTTP/0.9": b"<html></html>",
    "a status without end": b"HTTP/1.1 " + b"9" * 20_000,
    "a status that is none": b"HTTP/1.1 99999 What\r\n\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "a header without a name": b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a body that is cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a body that is not compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "a redirect to nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n",
    "a redirect to a port that is none": b"HTTP/1.1 302 Found\r\nLocation: //x:99999999/\r\nContent-Length: 0\r\n\r\n",
    "a charset that is none": b"HTTP/1.1 200 OK\r\nContent-Type: a/b; charset=\xff\r\nContent-Length: 2\r\n\r\n[]",
}


def serve(listening: socket.socket, answer: bytes) -> None:
    """Answer every request so, and close; a TLS handshake is closed at once."""
    with suppress(OSError):  # closed by the test
        while True:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                asked = connection.recv(1)
                while asked[:1] == b"G" and not asked.endswith(b"\r\n\r\n"):
                    asked += connection.recv(4096)
                connection.sendall(answer)


async def fetched(port: int) -> object:
    """Fetch a record from there."""
    client = AriClient(AriEndpoint(f"http://127.0.0.1:{port}/ari", "ari", "secret"), tls=True)
    await client.open()
    try:
        return await client.fetch(AsteriskInfo, "GET", "/asterisk/info")
    finally:
        await client.close()


@pytest.mark.parametrize("answer", HTTP.values(), ids=HTTP)
def test_hostile_http_is_an_error_of_ours(answer: bytes) -> None:
    """Whatever a program does that happens to listen there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening, answer), daemon=True)
        thread.start()
        try:
            with pytest.raises(SlaError, match=r"127\.0\.0\.1"):
                asyncio.run(fetched(listening.getsockname()[1]))
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
