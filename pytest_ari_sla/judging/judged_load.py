"""What goes from the process that judged a load to the one that writes the reports."""

from __future__ import annotations

import msgspec

from pytest_ari_sla.capture.kept_packets import PackedStream
from pytest_ari_sla.reporting.record.run_record import CallRow, Scenario

__all__ = ["CapturedCall", "JudgedLoad", "TextFile"]


class CapturedCall(msgspec.Struct, frozen=True):
    """Packets of a call that are worth a file.

    Attributes
    ----------
    path
        The file's path, relative to the report's folder; empty where there is nothing that Wireshark could open.
    comment
        What is wrong with the call.
    streams
        Both directions of all its legs.
    audio
        Path of the WAV; empty where the audio was not kept.
    """

    path: str
    comment: str
    streams: list[PackedStream]
    audio: str = ""


class TextFile(msgspec.Struct, frozen=True):
    """A file of text: its path, relative to the report's folder, and what is in it."""

    path: str
    text: str


class JudgedLoad(msgspec.Struct, frozen=True):
    """One load with its verdict, and what goes with it into the report's folder.

    Attributes
    ----------
    scenario
        Its part of ``report.json``.
    line
        Line of the test in its file, from 1; None where that is not known.
    calls
        All calls that are known one by one, where the scenario's table does not hold them all.
    captures
        Files of packets to write.
    texts
        Files of evidence to write.
    """

    scenario: Scenario
    line: int | None = None
    calls: list[CallRow] = []
    captures: list[CapturedCall] = []
    texts: list[TextFile] = []
