from __future__ import annotations

import errno
import socket

import pytest

from pytest_ari_sla.udp import mmsg
from pytest_ari_sla.udp.datagrams import CONTROL, SOCKADDR_IN, DatagramMemory
from pytest_ari_sla.udp.mmsg import IOVEC, MMSGHDR, MmsgReceiver, TimerFd

pytestmark = pytest.mark.skipif(not mmsg.is_available(), reason="this system has no sendmmsg; the twin is tested")


def test_structures_are_laid_out_as_the_kernel_wants_them() -> None:
    """The sizes and offsets of glibc on 64-bit Linux; a wrong one would write over foreign memory."""
    assert MMSGHDR.itemsize == 64
    assert MMSGHDR.fields is not None
    offsets = {name: field[1] for name, field in MMSGHDR.fields.items()}
    assert offsets == {
        "name": 0,
        "name_length": 8,
        "iov": 16,
        "iov_length": 24,
        "control": 32,
        "control_length": 40,
        "flags": 48,
        "length": 56,  # the size of the msghdr before it
    }
    assert IOVEC.itemsize == SOCKADDR_IN.itemsize == 16
    assert CONTROL.itemsize == socket.CMSG_SPACE(16) == 32
    assert CONTROL.fields is not None
    assert CONTROL.fields["seconds"][1] == socket.CMSG_LEN(0) == 16


def test_a_socket_address_reads_as_the_system_writes_it() -> None:
    """Family in the machine's order, port and host in the network's."""
    memory = DatagramMemory.allocate(1, 8)
    memory.set_address(0, ("10.1.2.3", 0x1234))
    written = memory.address.tobytes()
    assert int.from_bytes(written[:2], "little") == socket.AF_INET
    assert written[2:8] == b"\x12\x34" + socket.inet_aton("10.1.2.3")


def test_what_the_kernel_refuses_is_an_os_error_with_its_own_number() -> None:
    """No return value of C is passed over."""
    with pytest.raises(OSError, match="Invalid argument") as caught:
        TimerFd(0, -1)
    assert caught.value.errno == errno.EINVAL


def test_receiving_by_a_closed_socket_is_an_error_and_not_an_empty_batch() -> None:
    """Only "nothing there" reads as 0."""
    receiver = MmsgReceiver(DatagramMemory.allocate(4, 64))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        receiver.receive(udp, 0, 4)
