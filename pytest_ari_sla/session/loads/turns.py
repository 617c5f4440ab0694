"""A load that two targets are compared by: made on both in turns, so that what changes with time changes for both."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import SlaError, error_of
from pytest_ari_sla.load.calibration import check_calibration, with_media_path
from pytest_ari_sla.session.loads.load_job import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.session.loads.load_maker import LoadMaker

__all__ = ["in_turns", "make_whole", "on_other"]

_IS_OTHERS = (True, False, False, True)
"""Whose turn it is: a drift that is steady adds as much to the first and last as to the two between."""


async def make_whole(maker: LoadMaker, job: LoadJob) -> None:
    """Make a load to its end; raise what its test has to hear."""
    __tracebackhide__ = True  # pytest shows the test's own line
    try:
        if job.calibration is None:
            job.outcome = await maker.make(job)
        else:
            calibration = await _calibrate(maker, job.calibration)
            job.outcome = with_media_path(await maker.make(job), calibration)
    finally:
        job.is_over = True
    job.raise_problem()


async def _calibrate(maker: LoadMaker, job: LoadJob) -> LoadOutcome:
    """Make a load that calibrates another one; what goes wrong there is told to be there."""
    __tracebackhide__ = True
    try:
        await make_whole(maker, job)
        assert job.outcome is not None
        check_calibration(job.outcome)
    except SlaError as error:
        told = error_of(error.culprit, f"In the calibration, before the load: {error}")
        told.before_any_call = error.before_any_call
        raise told from error
    return job.outcome


@contextmanager
def on_other(maker: LoadMaker) -> Iterator[str]:
    """Give the address of the target that is compared against; what goes wrong there meanwhile is told to be there."""
    url = maker.target().url
    try:
        yield url
    except SlaError as error:
        raise error_of(error.culprit, f"On {url}, which is compared against: {error}") from error


async def _before(maker: LoadMaker, job: LoadJob) -> None:
    """Make a load on the target that is compared against."""
    with on_other(maker) as url:
        job.step = f"on {url}, which is compared against"
        job.notes.append(f"This load was put on the target that is compared against, {url}.")
        await make_whole(maker, job)


async def in_turns(
    maker: LoadMaker, other: LoadMaker, first: LoadJob, again: Callable[[], LoadJob], jobs: list[LoadJob]
) -> LoadJob:
    """Make a load on both targets in turns; return the last one on the session's own, which knows of all of them.

    Parameters
    ----------
    maker, other
        For the session's target, and for the one that is compared against.
    first
        The first turn on the session's own target.
    again
        Makes the same load once more.
    jobs
        The loads of the test that are judged; the first is among them.
    """
    __tracebackhide__ = True
    turns = Turns()
    for is_others in _IS_OTHERS:
        if is_others:
            turns.before.append(again())
            await _before(other, turns.before[-1])
            continue
        job = first
        if turns.after:
            job = again()
            jobs.append(job)
        turns.after.append(job)
        await make_whole(maker, job)
    turns.after[-1].turns = turns
    return turns.after[-1]
