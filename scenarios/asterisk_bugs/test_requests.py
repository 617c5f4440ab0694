"""Faults that plain requests show."""

import asyncio
import select
import socket
import time

import pytest

RACES = 500
CONNECTIONS = 100


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


@pytest.mark.asterisk_bug(
    "create-dial-race", "a channel that was just created cannot be dialled yet", known_in="22.10.1"
)
async def test_dial_at_once_after_create(asterisk_bug):
    """``create`` has answered, so the channel is there."""
    async with asterisk_bug.victim() as pbx:
        for _ in range(RACES):
            asterisk_bug.tries += 1
            channel = pbx.new_id()
            created = await pbx.request(
                "POST", "/channels/create", endpoint="UnicastRTP/127.0.0.1:9//c(ulaw)", app=pbx.app, channelId=channel
            )
            if created.status != 200:
                asterisk_bug.not_tried(f"the target does not create such channels: {created.body}")
            dialled = await pbx.request("POST", f"/channels/{channel}/dial")
            if dialled.status == 409:
                asterisk_bug.found("dialling at once is answered 409, as if it had not been created")
            await pbx.request("DELETE", f"/channels/{channel}")


def connect_all(address, number):
    """Make so many connections at once; return how long each took."""
    took_s = {}
    connecting = [socket.socket() for _ in range(number)]
    with select.epoll() as poll:
        began_s = time.monotonic()
        for one in connecting:
            one.setblocking(False)
            one.connect_ex(address)
            poll.register(one, select.EPOLLOUT)
        while len(took_s) < number and time.monotonic() < began_s + 5:
            for descriptor, _ in poll.poll(0.1):
                took_s[descriptor] = time.monotonic() - began_s
                poll.unregister(descriptor)
    for one in connecting:
        one.close()
    return list(took_s.values())


@pytest.mark.asterisk_bug(
    "listen-backlog", "of many new connections at once, some wait a second", known_in="16.28, 22.10.1"
)
async def test_many_connections_at_once(asterisk_bug):
    """Few may wait at the door of its HTTP server; the kernel sends those that it turned away there again after 1 s."""
    async with asterisk_bug.victim() as pbx:
        host, port = pbx.process.target.url.split("/")[2].rsplit(":", 1)
        for _ in range(3):
            asterisk_bug.tries += 1
            connecting = asyncio.create_task(asyncio.to_thread(connect_all, (host, int(port)), CONNECTIONS))
            warm_s = 0.0
            while not connecting.done():
                began_s = time.monotonic()
                assert (await pbx.request("GET", "/asterisk/ping")).status == 200
                warm_s = max(warm_s, time.monotonic() - began_s)
            late = [took_s for took_s in await connecting if took_s > 0.9]
            if late and warm_s < 0.5:
                asterisk_bug.found(
                    f"of {CONNECTIONS} connections at once, {len(late)} took {max(late):.1f} s to be made, while one "
                    f"that was there already had its answers within {warm_s * 1000:.0f} ms"
                )
