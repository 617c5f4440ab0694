"""Why a channel ends: causes of ITU-T Q.850 in Asterisk's words, and the reasons that ARI knows."""

from __future__ import annotations

__all__ = ["NORMAL", "REASONS", "cause_text"]

NORMAL = 16

_TEXTS = {
    1: "Unallocated (unassigned) number",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    21: "Call Rejected",
    26: "Answered elsewhere",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    58: "Bearer capability not available",
    127: "Interworking, unspecified",
}

REASONS = {
    "normal": 16,
    "busy": 17,
    "congestion": 34,
    "no_answer": 19,
    "timeout": 18,
    "rejected": 21,
    "unallocated": 1,
    "normal_unspecified": 31,
    "number_incomplete": 28,
    "codec_mismatch": 58,
    "interworking": 127,
    "failure": 38,
    "answered_elsewhere": 26,
}
"""Cause by the word that ``DELETE /channels/{channelId}?reason=`` takes."""


def cause_text(cause: int) -> str:
    """Return Asterisk's words for a cause."""
    return _TEXTS.get(cause, "Unknown")
