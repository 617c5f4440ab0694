"""The hooks, as pluggy is given them.

Each ``register_*`` hook is called once per process, when a session starts; no hook is ever called per packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.topology import Call, Topology
    from pytest_ari_sla.hookspecs.tracker import Tracker
    from pytest_ari_sla.load.results.outcome import CallOutcome
    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.media.transport import MediaTransport
    from pytest_ari_sla.reporting.record.run_record import ReportSection, RunRecord, Scenario

__all__ = [
    "pytest_ari_sla_call_ended",
    "pytest_ari_sla_call_started",
    "pytest_ari_sla_register_codecs",
    "pytest_ari_sla_register_peer_faults",
    "pytest_ari_sla_register_report_sections",
    "pytest_ari_sla_register_topologies",
    "pytest_ari_sla_register_trackers",
    "pytest_ari_sla_register_transports",
    "pytest_ari_sla_update_run_record",
    "pytest_ari_sla_verdict_reached",
]


@pytest.hookspec
def pytest_ari_sla_register_codecs() -> Sequence[Codec]:
    """Return the codecs that this plug-in adds.

    Called once, before the first load, in every process that makes one: alone or each worker of a fleet. Return a list
    of objects; names that are taken already end the session with both owners. Plug-ins are asked one by one, and all
    answers count.

    Examples
    --------
    >>> def pytest_ari_sla_register_codecs():
    ...     return [Ilbc()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_trackers() -> Sequence[Tracker]:
    """Return the trackers that this plug-in adds.

    Called once, before thresholds are read, in every process that makes loads. Return a list of prototypes: every load
    works on copies of its own, in each worker of a fleet, and what they measure is merged by adding up. One that has
    ``observe_reports`` (``ReportTracker``) is told of RTCP reports too.

    Examples
    --------
    >>> def pytest_ari_sla_register_trackers():
    ...     return [PayloadBytes()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_topologies() -> Sequence[Topology]:
    """Return the topologies that this plug-in adds.

    Called once, before the first load, in every process that makes one. Return a list of objects, each of which builds
    all calls of a load.

    Examples
    --------
    >>> def pytest_ari_sla_register_topologies():
    ...     return [Queue()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_transports() -> Sequence[MediaTransport]:
    """Return the media transports that this plug-in adds.

    Called once, before the first load, in every process that makes one. Return a list of objects, each of which carries
    the media of all loads that name it: ``load(transport="memory")``. ``pytest_ari_sla.testing.MemoryMedia`` is
    one, and ``FrameTransport`` holds most of what one that moves frame by frame consists of.

    Examples
    --------
    >>> def pytest_ari_sla_register_transports():
    ...     return [MemoryMedia()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_peer_faults() -> Sequence[PeerFault]:
    """Return the ways for peers to misbehave that this plug-in adds.

    Called once, before the first load, in every process that makes one. Return a list of ``PeerFault``: a name, and the
    steps that the media process carries out on a faulty call's connection: ``load(peer_faults={"drop_out": "5%"})``.

    Examples
    --------
    >>> def pytest_ari_sla_register_peer_faults():
    ...     return [PeerFault("drop_out", (Wait(2000), Mute(), Wait(500), Speak()), ("audiosocket", "websocket"))]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_call_started(call: Call) -> None:
    """Take note of a call that is about to be built.

    Called on the event loop of the process that makes the call, before its first request: return at once. Nothing is
    returned. A plug-in that raises is not told again, which stands in the report.

    Examples
    --------
    >>> def pytest_ari_sla_call_started(call):
    ...     logger.info("call %s", call.id)

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_call_ended(call: CallOutcome) -> None:
    """Take note of what came of a call.

    Called on the event loop of the process that made the call, when the call has been removed from Asterisk: return at
    once. Nothing is returned. A plug-in that raises is not told again, which stands in the report.

    Parameters
    ----------
    call
        What came of it: its id, ``state``, ``reason``, times, figures of its own,
        and what happened to it.

    Examples
    --------
    >>> def pytest_ari_sla_call_ended(call):
    ...     if call.state == "failed":
    ...         logger.warning("call %s: %s", call.id, call.reason)

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_verdict_reached(scenario: Scenario, verdict: str) -> None:
    """Take note of a verdict, and amend what is reported with it.

    Called once for each load of the whole fleet, when its test is over: alone, or in the worker that judges (usually
    the one with shard 1). What is added to ``scenario.notes`` is in all reports; the verdict itself stands. Nothing is
    returned. A plug-in that raises is not told again, which stands in the report.

    Parameters
    ----------
    scenario
        The load's part of ``report.json``.
    verdict
        ``pass``, ``fail`` or ``inconclusive``.

    Examples
    --------
    >>> def pytest_ari_sla_verdict_reached(scenario, verdict):
    ...     if verdict == "fail":
    ...         scenario.notes.append(f"logs: https://logs.example/{scenario.started}")

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_update_run_record(record: RunRecord) -> None:
    """Amend the record of the session before any report is made from it.

    Called once, at the session's end, in the process that writes reports: alone, or the controller of a fleet. Change
    the record in place; it must still fit ``report.schema.json``. Nothing is returned. A plug-in that raises is named
    in the report's notes.

    Parameters
    ----------
    record
        All that ``report.json`` holds.

    Examples
    --------
    >>> def pytest_ari_sla_update_run_record(record):
    ...     record.notes.append(f"build {os.environ['BUILD_ID']}")

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_report_sections(record: RunRecord) -> Sequence[ReportSection]:
    """Return parts of one's own for the HTML and Markdown reports and the terminal's summary.

    Called once, at the session's end, after ``pytest_ari_sla_update_run_record``, in the process that writes reports:
    alone, or the controller of a fleet. Return a list of sections: a title, paragraphs and a table, all of plain text,
    which is shown as it is (markup in it is no markup). They stand in ``report.json`` as ``sections``. A plug-in that
    raises is named in the report's notes.

    Parameters
    ----------
    record
        All that ``report.json`` holds.

    Examples
    --------
    >>> def pytest_ari_sla_register_report_sections(record):
    ...     rows = [[scenario.nodeid, scenario.topology] for scenario in record.scenarios]
    ...     return [ReportSection(title="Topologies", columns=["Test", "Topology"], rows=rows)]

    Since 0.1.
    """
