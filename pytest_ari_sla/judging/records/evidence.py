"""Whose packets go into the report: the calls that the capture policy names, of those that were kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.call_endings import LOST
from pytest_ari_sla.capture.pcapng import capture_name
from pytest_ari_sla.judging.judged_load import CapturedCall, TextFile
from pytest_ari_sla.judging.records.worst_calls import reasons
from pytest_ari_sla.reporting.places import CAPTURES_NAME, EVIDENCE_NAME

if TYPE_CHECKING:
    from pytest_ari_sla.capture.kept_packets import CapturePolicy, PackedStream
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.metrics.catalogue import Catalogue

__all__ = ["captured_calls", "evidence_files"]

_USUAL = "Nothing about this call stands out."


def evidence_files(outcome: LoadOutcome, scenario: str) -> list[TextFile]:
    """Return the files of evidence of a load that was on a target that stalled or died, by the scenario's name."""
    # A node id holds slashes, colons and brackets.
    named = re.sub(r"\W+", "-", scenario).strip("-")
    return [TextFile(f"{EVIDENCE_NAME}/{named}-{file.name}", file.text) for file in outcome.evidence]


def captured_calls(outcome: LoadOutcome, policy: CapturePolicy, catalogue: Catalogue) -> dict[str, CapturedCall]:
    """Return what is to be written of each call, by its id.

    Parameters
    ----------
    outcome
        A load, over all shards.
    policy
        Which calls' packets are evidence.
    catalogue
        All metrics.
    """
    if not outcome.captures:  # ranking all calls is for those who keep packets of some
        return {}
    why = reasons(outcome.calls, catalogue)
    chosen = policy.chosen(
        [call.id for call in outcome.calls],
        worst=list(why),
        failed={call.id for call in outcome.calls if call.state in LOST},
    )
    return {
        call: _captured(call, why.get(call, _USUAL), list(outcome.captures[call]))
        for call in chosen
        if call in outcome.captures
    }


def _captured(call: str, why: str, streams: list[PackedStream]) -> CapturedCall:
    path = f"{CAPTURES_NAME}/{capture_name(call)}" if any(stream.is_rtp for stream in streams) else ""
    is_audible = any(stream.payload_bytes for stream in streams)
    return CapturedCall(path, why, streams, f"{CAPTURES_NAME}/{capture_name(call, 'wav')}" if is_audible else "")
