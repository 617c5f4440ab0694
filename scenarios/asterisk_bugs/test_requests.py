"""Faults that plain requests show."""

import asyncio
import re
import select
import socket
import sys
import time
from urllib.parse import urlencode, urlsplit

import pytest

RACES = 200
ROUNDS, CONNECTIONS = 5, 100
TCP_INFO_TOTAL_RETRANS = 100  # offset of tcpi_total_retrans in struct tcp_info of linux/tcp.h


@pytest.mark.asterisk_bug(
    "id-prefix-clash",
    "an id is refused while a longer one begins with it",
    known_in="16.28, 22.10.1",
    simulator_copies=True,
)
async def test_an_id_that_another_begins_with(asterisk_bug):
    """``x-1`` is another id than ``x-10``."""
    async with asterisk_bug.victim() as pbx:
        asterisk_bug.tries = 1
        assert (await pbx.external_media("x-10")).status == 200
        assert (await pbx.external_media("y-1")).status == 200
        clash = await pbx.external_media("x-1")
        if clash.status != 200:
            asterisk_bug.found(f"with a channel x-10 up, a new one with the id x-1 is answered {clash.status}")


async def ask_in_one_piece(endpoint, requests):
    """Send requests on one connection without waiting in between (RFC 9112, section 9.3.2); return what is answered."""
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    path = urlsplit(endpoint.base_url).path
    for method, target in requests:
        head = [f"{method} {path}{target} HTTP/1.1", f"Host: {endpoint.host}"]
        headers = [f"Authorization: {endpoint.authorization}", "Content-Length: 0"]
        writer.write("\r\n".join([*head, *headers, "", ""]).encode())
    answers = []
    try:
        for _ in requests:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
            answers.append((int(head.split()[1]), await reader.readexactly(int(length[1]) if length else 0)))
    finally:
        writer.close()
    return answers


@pytest.mark.asterisk_bug(
    "create-dial-race", "a channel that was just created cannot be dialled yet", known_in="22.10.1"
)
async def test_dial_at_once_after_create(asterisk_bug):
    """``create`` has answered before ``dial`` is read, so the channel is there."""
    async with asterisk_bug.victim() as pbx:
        for _ in range(RACES):
            asterisk_bug.tries += 1
            channel = pbx.new_id()
            query = urlencode({"endpoint": "UnicastRTP/127.0.0.1:9//c(ulaw)", "app": pbx.app, "channelId": channel})
            created, dialled = await ask_in_one_piece(
                pbx.process.endpoint,
                [("POST", f"/channels/create?{query}"), ("POST", f"/channels/{channel}/dial")],
            )
            if created[0] != 200:
                asterisk_bug.not_tried(f"the target does not create such channels: {created[1].decode()}")
            if dialled[0] == 409:
                asterisk_bug.found("dialling at once is answered 409, as if it had not been created")
            await pbx.request("DELETE", f"/channels/{channel}")


def sent_again(one):
    """Tell whether the kernel had to ask for this connection more than once, and nothing else was sent on it."""
    information = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(information[TCP_INFO_TOTAL_RETRANS:], sys.byteorder) > 0


def connect_all(address, number):
    """Make so many connections at once; return how long those took that had to be asked for again."""
    took_s = []
    connecting = {one.fileno(): one for one in (socket.socket() for _ in range(number))}
    with select.epoll() as poll:
        began_s = time.monotonic()
        for one in connecting.values():
            one.setblocking(False)
            one.connect_ex(address)
            poll.register(one, select.EPOLLOUT)
        waiting = set(connecting)
        while waiting and time.monotonic() < began_s + 5:
            for descriptor, _ in poll.poll(0.1):
                poll.unregister(descriptor)
                waiting.discard(descriptor)
                if sent_again(connecting[descriptor]):
                    took_s.append(time.monotonic() - began_s)
    for one in connecting.values():
        one.close()
    return took_s


@pytest.mark.asterisk_bug(
    "listen-backlog", "of many new connections at once, some wait a second", known_in="16.28, 22.10.1"
)
async def test_many_connections_at_once(asterisk_bug):
    """Few may wait at the door of its HTTP server; the kernel sends those that it turned away there again after 1 s."""
    async with asterisk_bug.victim() as pbx:
        host, port = pbx.process.target.url.split("/")[2].rsplit(":", 1)
        for _ in range(ROUNDS):
            asterisk_bug.tries += 1
            if late := await asyncio.to_thread(connect_all, (host, int(port)), CONNECTIONS):
                asterisk_bug.found(
                    f"of {CONNECTIONS} connections at once, {len(late)} were turned away and took {max(late):.1f} s"
                )
            assert (await pbx.request("GET", "/asterisk/ping")).status == 200
