"""Requests that belong to no call of ours (RFC 3261, 12.2.2): whoever sends them gets a proper answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiosipua import SipRequest, generate_tag

from pytest_ari_sla.sip.messages import make_response

if TYPE_CHECKING:
    from pytest_ari_sla.sip.messages import Incoming

__all__ = ["answer_stranger"]


def answer_stranger(incoming: Incoming) -> bytes | None:
    """Return the response; None to a response, and to an ACK, which has none."""
    if not isinstance(incoming.message, SipRequest) or incoming.method == "ACK":
        return None
    tag = incoming.to_tag or generate_tag()
    # A To tag names a dialog, BYE and CANCEL need one or a transaction: we have neither (12.2.2, 15.1.2, 9.2).
    if incoming.to_tag or incoming.method in ("BYE", "CANCEL"):
        return make_response(incoming, 481, "Call/Transaction Does Not Exist", tag)
    match incoming.method:
        case "OPTIONS":
            return make_response(incoming, 200, "OK", tag)
        case "INVITE":
            return make_response(incoming, 480, "Temporarily Unavailable", tag)  # we call, and are not called
    return make_response(incoming, 405, "Method Not Allowed", tag)
