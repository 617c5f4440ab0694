"""The role of the process that xdist calls the controller: it makes no call, and holds the fleet together.

It starts the target once, lets the shards meet (:mod:`.collectives`), merges what they bring, watches over loads as
they run, and clears up after workers that died. All of that happens in one thread of its own, which alone touches the
state: xdist's main loop and execnet's receivers only put events into its queue.
"""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_ari_sla.errors import SlaError, UsageError
from pytest_ari_sla.fleet import messages as messages
from pytest_ari_sla.fleet.conftest_hooks import load_conftests
from pytest_ari_sla.fleet.controlling.collectives import Broken, Collectives, Met
from pytest_ari_sla.fleet.controlling.member import FleetMember
from pytest_ari_sla.fleet.controlling.targets import FleetTargets
from pytest_ari_sla.judging.load_description import LoadDescription
from pytest_ari_sla.session.reports.run_facts import RunFacts
from pytest_ari_sla.shard_names import ShardName, parse_nodeid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

    from pytest_ari_sla.fleet.controlling.collectives import Message
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.session.supervisor import Supervisor
    from pytest_ari_sla.settings import Settings
    from pytest_ari_sla.targets.target import Target

__all__ = ["Controller"]

_TICK_S = 1.0
_JUDGING_PATIENCE_S = 5.0
"""How long interrupted loads may take to end, which they do within two seconds: a container has ten."""

_END_S = 7.0
"""When workers of an interrupted fleet are killed: they have told all that they measured, and guards clear up."""


class Controller:
    """Holds a fleet together.

    Parameters
    ----------
    config
        pytest's configuration.
    settings
        What the user asked for.
    shards
        How many workers there will be.
    judged
        The loads that are over.

    Attributes
    ----------
    facts
        What reports say of the run.
    interrupted
        Whether the session was told to end; what workers have no time to remove, their guards do.
    """

    def __init__(self, config: pytest.Config, settings: Settings, shards: int, judged: JudgedTests) -> None:
        self._config = config
        self._judged = judged
        self._targets = FleetTargets(settings)
        self.facts = RunFacts(settings, self.target, shards)
        self._members: dict[int, FleetMember] = {}
        self._vacant = set(range(1, shards + 1))
        self._enlisted = 0
        self._collectives = Collectives(shards)
        self._events: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # Daemon: a session that breaks off before close() can end.
        self._thread = threading.Thread(target=self._serve, name="ari-sla fleet", daemon=True)
        self._supervisor: Supervisor | None = None
        self._refusal = ""
        self._divided: set[str] = set()
        self._hook_folders: set[str] = set()
        self._unjudged: set[str] = set()
        self._all_judged = threading.Event()
        self.interrupted = False

    def check_refusals(self) -> None:
        """Raise the mistake that a worker has found in the tests.

        Raises
        ------
        UsageError
            There is one.
        """
        self.hear_all()
        if self._refusal:
            raise UsageError(self._refusal)

    def hear_all(self) -> None:
        """Wait until everything that workers have said is heard."""
        heard_all = threading.Event()
        self._put(heard_all.set)  # in turn: what was said before has been heard by then
        heard_all.wait()

    def name_of(self, nodeid: str) -> ShardName:
        """Take the node id of a collected test apart; one that only looks like a shard's is left whole."""
        return parse_nodeid(nodeid) if nodeid in self._divided else ShardName(nodeid, 0, 0)

    def prepare(self) -> None:
        """Get ready for loads: bring in all that is heavy, and find or start the target.

        Raises
        ------
        SlaError
            The target cannot be used, or a plug-in, or an option.
        """
        from pytest_ari_sla.session.plugins.registry import Registry, register_builtins
        from pytest_ari_sla.session.supervisor import open_supervisor

        load_conftests(self._config, self._hook_folders)
        register_builtins(self._config.pluginmanager)
        catalogue = Registry.from_plugins(self._config.pluginmanager).catalogue
        self._supervisor = open_supervisor(self._config, self.facts, catalogue, self._judged, self._targets.crash)
        if not self._config.option.setupplan:
            self.target()
            if self.facts.settings.against is not None:
                self._targets.get(is_other=True)

    # --- workers come and go: called by xdist's main loop ---

    def enlist(self, node: Any) -> FleetMember:
        """Take in a worker that is about to start; it gets the lowest shard that nobody has."""
        shard = min(self._vacant)
        self._vacant.remove(shard)
        self._enlisted += 1
        member = self._members[shard] = FleetMember(shard, self._enlisted, node)
        if not self._thread.is_alive():
            self._thread.start()
        member.channel.setcallback(lambda data: self._put(lambda: self._hear(member, data)))
        self._put(lambda: self._collectives.take_over(shard))
        return member

    def shard_of(self, node: Any) -> int:
        """Return a worker's shard."""
        return next(member.shard for member in self._members.values() if member.node is node)

    def dismiss(self, node: Any, error: object | None) -> None:
        """Let a worker go: with an error, it died."""
        member = next((member for member in self._members.values() if member.node is node), None)
        if member is None:
            return
        if error is None:
            output = getattr(node, "workeroutput", {})
            reason = str(output.get("shouldfail") or output.get("shouldstop") or "its session has ended")
            self._put(lambda: self._member_finished(member, reason))
        else:
            self._vacant.add(member.shard)
            self._put(lambda: self._member_died(member, str(error)))

    def interrupt(self, reason: str) -> None:
        """Let every load that runs end, and wait a while for what becomes of it; the user may lose patience."""
        self.interrupted = True
        kill_s = time.monotonic() + _END_S
        with suppress(KeyboardInterrupt):
            self._put(lambda: self._interrupt(reason))
            self._all_judged.wait(_JUDGING_PATIENCE_S)
        nodes = getattr(self._config.pluginmanager.getplugin("dsession"), "nodemanager", None)
        if nodes is not None:
            # How long xdist waits for workers; it has no option for that.
            nodes.EXIT_TIMEOUT = max(0.0, kill_s - time.monotonic())

    def take_in_abandoned(self) -> None:
        """Judge the loads that nobody is left to judge, since all workers died in them, by what they told before."""
        if self._thread.is_alive():  # without it nobody would answer
            told = threading.Event()
            self._put(lambda: self._judge_abandoned(told))
            told.wait()

    def give_up(self, nodeid: str) -> None:
        """Let the test of a shard be over, since its worker died in it."""
        test, shard, _ = self.name_of(nodeid)
        if shard:
            self._put(lambda: self._leave(shard, test, "its worker died"))

    # --- the target ---

    def target(self) -> Target:
        """Return the target, started if need be; asked again after a failure, the same error is raised."""
        return self._targets.get()

    def _find_target(self, member: FleetMember, is_other: bool) -> None:
        """Answer a worker that asks for the target; in a thread, since starting one takes a while."""
        try:
            found = messages.TargetIs(values=asdict(self._targets.get(is_other=is_other)))
            if crash := self._targets.crash():  # found earlier, it may have died since
                raise crash
        except SlaError as error:
            found = messages.TargetIs(error=str(error), culprit=error.culprit)
        except Exception as error:  # nobody waits for this thread: the worker would only know that no answer came
            traceback.print_exc()
            found = messages.TargetIs(error=f"the target could not be found: {error!r}", culprit=SlaError.culprit)
        member.send(found)

    # --- the thread that serves the fleet ---

    def _put(self, event: Callable[[], None]) -> None:
        self._events.put(event)

    def _serve(self) -> None:
        tick_s = time.monotonic() + _TICK_S
        while True:
            if time.monotonic() >= tick_s:
                # In turn: what shards said by now is heard before one of them is found to hang.
                self._put(self._tick)
                tick_s = time.monotonic() + _TICK_S
            try:
                event = self._events.get(timeout=max(0.0, tick_s - time.monotonic()))
            except Empty:
                continue
            if event is None:
                return
            try:
                event()
            except Exception as error:
                # Nobody waits for this thread: without a word from it, every worker would wait for ever.
                traceback.print_exc()
                self._stop_others(None, f"the controller of the fleet failed: {error!r}")

    def _tick(self) -> None:
        told, hanging = self._collectives.expire(time.monotonic())
        self._deliver(told)
        for shard in hanging:
            self._members[shard].kill()
        for ending in self._supervisor.look() if self._supervisor is not None else ():
            for member in self._members.values():
                member.send(messages.EndLoad(*ending))

    def _hear(self, member: FleetMember, data: bytes) -> None:
        """Act on what a worker said."""
        message = messages.controller_reads(data)
        now_s = time.monotonic()
        match message:
            case messages.NeedTarget(is_other):
                # This thread must go on hearing: others' patience runs.
                threading.Thread(target=self._find_target, args=(member, is_other), daemon=True).start()
            case messages.Refuse(mistake):
                self._refusal = mistake
            case messages.Divided(nodeids):
                self._divided.update(nodeids)
            case messages.HooksIn(folders):
                self._hook_folders.update(folders)
            case messages.Arrive(test, step, payload, needs_all, cut_off):
                if cut_off:
                    self._end_others(member, test, step, cut_off)
                arrived = self._collectives.arrive(member.shard, test, step, payload, needs_all=needs_all, now_s=now_s)
                self._deliver(arrived)
            case messages.Leave(test, reason):
                self._leave(member.shard, test, reason)
            case messages.Judged(nodeid, told):
                self._take_judged(nodeid, told)
            case messages.Progressed(test, number, at_ns, calls_up, recent):
                self._collectives.heard(member.shard, test, now_s)
                if self._supervisor is not None:
                    from pytest_ari_sla.metrics.snapshot import Snapshot

                    self._supervisor.hear(test, number, member.shard, at_ns, calls_up, Snapshot.from_plain(recent))

    def _leave(self, shard: int, test: str, reason: str) -> None:
        self._deliver(self._collectives.leave(shard, test, reason, time.monotonic()))

    def _member_died(self, member: FleetMember, reason: str) -> None:
        why = f"its worker died ({reason})"
        self._deliver(self._collectives.lose(member.shard, why, time.monotonic()))
        self._targets.sweep_after(self.facts.id_prefix(member.number))

    def _member_finished(self, member: FleetMember, reason: str) -> None:
        output = getattr(member.node, "workeroutput", {})
        if output.get("shouldfail") or output.get("shouldstop"):
            # Before they hear that somebody is missing: that the session stops is no failure of theirs.
            self._stop_others(member, reason)
        self._deliver(self._collectives.finish(member.shard, reason, time.monotonic()))

    def _interrupt(self, reason: str) -> None:
        """Interrupt all workers; the tests that are in the midst of a load are waited for."""
        self._unjudged = self._collectives.tests_in_load()
        for member in self._members.values():
            member.send(messages.Interrupt(reason))
        self._take_judged()

    def _take_judged(self, nodeid: str = "", told: dict[str, Any] | None = None) -> None:
        """Take in what became of an interrupted test."""
        if told is not None:
            from pytest_ari_sla.judging.standing import Told

            heard = msgspec.convert(told, Told)
            self._judged.hear(nodeid, heard)
            self._unjudged.discard(heard.test)
        if self.interrupted and not self._unjudged:
            self._all_judged.set()

    def _judge_abandoned(self, told: threading.Event) -> None:
        from pytest_ari_sla.judging.standing import Standing, Told

        try:
            found = {} if self._supervisor is None else self._supervisor.abandoned("when all of its workers were gone")
            for test, loads in found.items():
                self._judged.hear(test, Told(test, Standing(failed=loads[-1].scenario.notes[0]), loads))
        finally:
            told.set()

    def _stop_others(self, but: FleetMember | None, reason: str) -> None:
        for member in self._members.values():
            if member is not but:
                member.send(messages.StopSession(reason))

    def _end_others(self, but: FleetMember, test: str, step: str, reason: str) -> None:
        """End a load on the other shards, since it was cut off on one."""
        for member in self._members.values():
            if member is not but:
                member.send(messages.EndLoad(test, int(step.split()[0]), reason))  # "2 result" is of load 2

    def _deliver(self, told: Iterable[Message]) -> None:
        """Send messages on; what shards brought to a step is merged once for all of them."""
        results: dict[tuple[str, str], bytes] = {}
        for message in told:
            member = self._members[message.shard]
            if isinstance(message, Broken):
                member.send(messages.TestBroken(message.test, message.reason))
                if self._supervisor is not None:
                    self._supervisor.note(message.test, message.reason)
                continue
            key = message.test, message.step
            if key not in results:
                results[key] = self._result_of(message)
            present = sorted(message.payloads)
            missing = list(message.missing.values())
            member.send(messages.Together(message.test, message.step, results[key], present, missing))

    def _result_of(self, met: Met) -> bytes:
        """Return what comes of a step: of the end of a load, its outcome over all shards that brought theirs."""
        number, what = met.step.split()
        payloads = [payload for _, payload in sorted(met.payloads.items())]
        if what == "begin":
            if self._supervisor is not None:
                # All shards describe the same load.
                self._supervisor.begin(met.test, int(number), LoadDescription.from_bytes(payloads[0]))
            return b""
        from pytest_ari_sla.load.results.outcome import LoadOutcome

        if self._supervisor is not None:
            self._supervisor.end(met.test, int(number))
        parts = [LoadOutcome.from_plain(msgspec.msgpack.decode(payload)) for payload in payloads]
        return msgspec.msgpack.encode(LoadOutcome.merged(parts).to_plain())

    # --- the end ---

    @property
    def left(self) -> list[str]:
        """What workers that died left at a target, a sentence for each; known after :meth:`close`."""
        return self._targets.left

    def close(self) -> None:
        """Stop everything that the session started."""
        if self._thread.is_alive():
            self._events.put(None)
            self._thread.join()
        self._targets.finish_sweeping()
        if self._supervisor is not None:
            self._supervisor.close()
        self._targets.close()
