"""What pytest calls for each test: its loads are judged, and its reports tell of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.fleet.stash import LOAD_MAKER, LOADS, SETTINGS, load_maker_of
from pytest_ari_sla.own_fixtures import own_fixtures

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_ari_sla.judging.judged_load import JudgedLoad
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.judging.standing import Standing
    from pytest_ari_sla.session.loads.load_job import LoadJob

__all__ = ["ItemHooks"]

_ON_REPORT = "ari_sla"
_NO_FAILURES = (pytest.skip.Exception, pytest.xfail.Exception)
_ENDED = (KeyboardInterrupt, pytest.exit.Exception)


@dataclass
class _Attempt:
    """One attempt at a test.

    Attributes
    ----------
    standing
        What pytest says of it so far.
    judged
        Its loads, and their verdicts; None: it is not for us to judge them, or not yet.
    by_verdict
        Whether the test's own code passed, and a verdict failed the test.
    is_called
        Whether the test's own code is over.
    properties
        What JUnit was told.
    """

    standing: Standing
    judged: list[JudgedLoad] | None = None
    by_verdict: bool = False
    is_called: bool = False
    properties: list[tuple[str, str]] = field(default_factory=list)


_ATTEMPT: pytest.StashKey[_Attempt] = pytest.StashKey()
_EARLIER: pytest.StashKey[list[str]] = pytest.StashKey()


class ItemHooks:
    """A pytest plugin.

    Parameters
    ----------
    judged
        Where the judged loads of all processes come together.
    """

    def __init__(self, judged: JudgedTests) -> None:
        self._judged = judged

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin an attempt: a plug-in may run a test again, and then the last attempt counts."""
        no_loads: list[LoadJob] = []
        if _ATTEMPT in item.stash:
            from pytest_ari_sla.judging.standing import in_line

            before = item.stash[_ATTEMPT]
            del item.stash[_ATTEMPT]
            item.stash.setdefault(_EARLIER, []).extend(
                f"An earlier attempt of this test came to {load.scenario.verdict}: {load.scenario.reason}"
                for load in in_line(before.judged or (), before.standing)
            )
        item.stash[LOADS] = no_loads

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Judge the loads that a test made, whether the test itself passed or not."""
        failure: BaseException | None = None
        try:
            result = yield
        except BaseException as raised:
            failure = raised
            raise
        finally:
            if _is_ours(item):
                _attempt_of(item).is_called = True
                if not isinstance(failure, pytest.skip.Exception):
                    self._judge(item, failure)
        if _ATTEMPT in item.stash:
            self._fail_by_verdict(item)
        return result

    def _judge(self, item: pytest.Item, failure: BaseException | None) -> None:
        from pytest_ari_sla.session.loads.judge import judge_loads

        maker = load_maker_of(item.config)
        jobs = item.stash[LOADS]
        judged = judge_loads(item, maker, jobs, None if isinstance(failure, _NO_FAILURES) else failure)
        if not maker.coordination.judges:
            return
        earlier = item.stash.setdefault(_EARLIER, [])
        for load in judged:
            load.scenario.notes += earlier
        _attempt_of(item).judged = judged
        if isinstance(failure, _ENDED):
            told = _told(item, with_loads=True)
            self._judged.hear(item.nodeid, told)  # pytest makes no report of this test
            maker.coordination.hand_over(item.nodeid, told)

    def _fail_by_verdict(self, item: pytest.Item) -> None:
        attempt = item.stash[_ATTEMPT]
        if attempt.judged:
            from pytest_ari_sla.session.loads.judge import raise_verdict

            try:
                raise_verdict(attempt.judged, item.config.stash[SETTINGS].inconclusive)
            except pytest.fail.Exception:
                attempt.by_verdict = True
                raise

    # Outermost: pytest's own wrappers have made xfail and XPASS of the outcome by then.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Attach what became of the loads to the test's report: so it reaches the process that writes the reports."""
        report = yield
        if LOADS in item.stash and _is_ours(item):
            _note_standing(item, call, report)
            if call.when == "setup" and report.failed and LOAD_MAKER in item.config.stash and call.excinfo:
                self._judge(item, call.excinfo.value)
            is_sub = call.when == "call" and not _attempt_of(item).is_called
            if not is_sub:
                _settle(item, report, call.when)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a report tells, in the process that runs the test and in the one that writes the reports."""
        told = getattr(report, _ON_REPORT, None)
        if told is not None:
            import msgspec

            from pytest_ari_sla.judging.standing import Told

            self._judged.hear(report.nodeid, msgspec.convert(told, Told))


def _attempt_of(item: pytest.Item) -> _Attempt:
    """Return the present attempt at a test; made when first asked for, so that tests without loads cost nothing."""
    if _ATTEMPT not in item.stash:
        from pytest_ari_sla.judging.standing import Standing

        item.stash[_ATTEMPT] = _Attempt(Standing())
    return item.stash[_ATTEMPT]


def _is_ours(item: pytest.Item) -> bool:
    """Whether a test is to make a load, or has made one."""
    is_marked = any(mark.name == "sla" for mark in item.own_markers)
    return is_marked or "load" in own_fixtures(item) or bool(item.stash.get(LOADS, []))


def _note_standing(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Remember what pytest says of a test; of a subtest, whose report comes before the test is over, failures only."""
    attempt = _attempt_of(item)
    standing = attempt.standing
    if report.failed and not (attempt.by_verdict and call.when == "call"):
        standing.failed = standing.failed or _why(call, report)
    elif report.skipped and (call.when != "call" or attempt.is_called):
        known = getattr(report, "wasxfail", None)
        if known is None:
            standing.skipped = _why(call, report)
            standing.unjudged = len(item.stash[LOADS])
        else:
            standing.known = known.removeprefix("reason: ")


def _why(call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    from pytest_ari_sla.session.loads.judge import why

    if call.excinfo is None:
        return f"The test itself failed: {str(report.longrepr).strip().splitlines()[0]}"  # XPASS(strict)
    if report.skipped:
        return str(call.excinfo.value)
    return why(
        call.excinfo.value, f"The test's {call.when} failed" if call.when != "call" else "The test itself failed"
    )


def _settle(item: pytest.Item, report: pytest.TestReport, when: str) -> None:
    """Put the verdicts that stand into the report, and tell plug-ins of them when the test's own code is over."""
    import msgspec

    from pytest_ari_sla.judging.standing import in_line
    from pytest_ari_sla.reporting.ci.junit import junit_properties

    attempt = _attempt_of(item)
    standing = in_line(attempt.judged or (), attempt.standing)
    if when == "call" and attempt.judged:
        hooks = load_maker_of(item.config).registry.hook_calls
        for load in standing:
            hooks.tell("verdict_reached", scenario=load.scenario, verdict=load.scenario.verdict)
            load.scenario.notes += [remark for remark in hooks.remarks() if remark not in load.scenario.notes]
    # Settled anew after setup, call and teardown: ours of before go.
    others = [entry for entry in item.user_properties if entry not in attempt.properties]
    attempt.properties = [entry for load in standing for entry in junit_properties(load.scenario)]
    item.user_properties[:] = [*others, *attempt.properties]
    report.user_properties = list(item.user_properties)
    # The teardown's report changes the standing; the loads went with the call's.
    setattr(report, _ON_REPORT, msgspec.to_builtins(_told(item, with_loads=when != "teardown")))


def _told(item: pytest.Item, *, with_loads: bool) -> Any:
    from pytest_ari_sla.judging.standing import Told
    from pytest_ari_sla.shard_names import name_of_test

    attempt = _attempt_of(item)
    return Told(name_of_test(item), attempt.standing, (attempt.judged or []) if with_loads else None)
