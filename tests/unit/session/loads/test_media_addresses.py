from __future__ import annotations

from typing import Any

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.session.loads.media_addresses import MediaAddresses, media_addresses
from pytest_ari_sla.settings import Settings

OWN = "192.0.2.9"


@pytest.mark.parametrize(
    ("given", "bound", "announced"),
    [
        ({}, OWN, OWN),
        ({"media_host": "192.0.2.1"}, "192.0.2.1", "192.0.2.1"),
        ({"media_bind": "172.17.0.2"}, "172.17.0.2", "172.17.0.2"),
        ({"media_bind": "172.17.0.2", "media_host": "nat.example"}, "172.17.0.2", "nat.example"),
        ({"media_bind": "0.0.0.0"}, "0.0.0.0", OWN),
        ({"media_bind": "0.0.0.0", "media_host": "192.0.2.1"}, "0.0.0.0", "192.0.2.1"),
    ],
)
def test_what_is_bound_is_announced_unless_told_otherwise(given: dict[str, Any], bound: str, announced: str) -> None:
    """And every address at once is not one that Asterisk could send to."""
    addresses = media_addresses(Settings(**given), lambda: OWN)
    assert (addresses.bound, addresses.announced) == (bound, announced)


def test_the_target_is_not_asked_for_what_is_given() -> None:
    """It may have no IPv4 address at all."""

    def unknown() -> str:
        raise UsageError("no route")

    assert media_addresses(Settings(media_bind="127.0.0.1"), unknown).announced == "127.0.0.1"


def test_processes_of_this_machine_meet_at_an_address_that_they_can_compare() -> None:
    """What was sent to 0.0.0.0 comes back from another address."""
    assert MediaAddresses(bound="0.0.0.0", announced=OWN).local == "127.0.0.1"
    assert MediaAddresses(bound="172.17.0.2", announced=OWN).local == "172.17.0.2"


def test_the_name_of_asterisks_address_is_looked_up_here() -> None:
    """Packets are told apart by numbers."""
    assert media_addresses(Settings(asterisk_media="localhost"), lambda: OWN).asterisk == "127.0.0.1"
    with pytest.raises(UsageError, match=r"--ari-asterisk-media: 'nowhere\.invalid' has no IPv4 address"):
        media_addresses(Settings(asterisk_media="nowhere.invalid"), lambda: OWN)


@pytest.mark.parametrize("name", ["nowhere.invalid", "x" * 70])
@pytest.mark.parametrize("option", ["media_host", "media_bind"])
def test_a_name_of_our_own_that_cannot_be_looked_up_is_told_by_its_option(option: str, name: str) -> None:
    """Before a socket is to be bound to it, which only says that it does not know."""
    given: dict[str, Any] = {option: name}
    with pytest.raises(UsageError, match=f"--ari-{option.replace('_', '-')}: '{name}' has no IPv4 address"):
        media_addresses(Settings(**given), lambda: OWN)
