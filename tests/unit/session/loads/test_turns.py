from typing import Any

import pytest

from pytest_ari_sla.errors import AriUnreachable, NetworkError, SlaError, UsageError
from pytest_ari_sla.load.results.outcome import LoadOutcome
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.session.loads.load_job import LoadJob
from pytest_ari_sla.session.loads.turns import in_turns, make_whole
from pytest_ari_sla.targets.target import Target


class Maker:
    """Stands for who makes loads on one target: writes down whose turn it was."""

    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        self._name = name
        self._log = log
        self.error: Exception | None = None

    def target(self) -> Target:
        """Return where it is."""
        return Target(kind="external", url=f"http://{self._name}", user="u", password="p", media_host="127.0.0.1")

    async def make(self, job: LoadJob) -> object:
        """Make a load."""
        if self.error is not None:
            raise self.error
        self._log.append((self._name, job.number))
        return object()


class Turned:
    """A load made in turns on two targets."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int]] = []
        self.old, self.new = Maker("old", self.log), Maker("new", self.log)
        self.first = job(1)
        self.jobs = [self.first]
        self._numbers = iter(range(2, 9))

    async def make(self) -> LoadJob:
        """Make it on both."""
        new: Any = self.new
        old: Any = self.old
        return await in_turns(new, old, self.first, lambda: job(next(self._numbers)), self.jobs)


def job(number: int) -> LoadJob:
    """Return a load that nobody looks into."""
    no_plan: Any = None
    return LoadJob("t", "", number, plan=no_plan, thresholds=[])


async def test_a_drift_that_is_steady_is_the_same_for_both_targets() -> None:
    """Turns one and four are theirs, two and three ours: the sums of their times are equal."""
    turned = Turned()
    last = await turned.make()
    assert [name for name, _ in turned.log] == ["old", "new", "new", "old"]
    assert len({number for _, number in turned.log}) == 4
    assert turned.jobs == [turned.first, last]
    assert last.turns is not None
    assert last.turns.after == turned.jobs
    assert all("the target that is compared against" in job.notes[0] for job in last.turns.before)


async def test_what_goes_wrong_on_the_other_target_is_told_to_be_there() -> None:
    """With the same culprit; our own is not to blame."""
    turned = Turned()
    turned.old.error = AriUnreachable("nobody is there")
    with pytest.raises(NetworkError, match="On http://old, which is compared against: nobody is there"):
        await turned.make()


async def test_what_goes_wrong_on_our_own_is_told_as_ever() -> None:
    """And the comparison is left out."""
    turned = Turned()
    turned.new.error = UsageError("no")
    with pytest.raises(UsageError, match=r"^no$"):
        await turned.make()
    assert turned.first.turns is None


class EchoMaker(Maker):
    """Hears an echo on each call, or none."""

    def __init__(self, *, echoes: bool) -> None:
        super().__init__("new", [])
        self._echoes = echoes

    async def make(self, job: LoadJob) -> object:
        """Make a load."""
        await super().make(job)
        rtt = Histogram()
        if self._echoes:
            rtt.record_one(12_000_000)
        return LoadOutcome("caller", "PCMU", 0, 0, Snapshot({"rtt": rtt}), TimeSeries())


async def test_a_load_is_made_after_the_one_that_calibrates_it() -> None:
    """And knows what that has found."""
    maker: Any = EchoMaker(echoes=True)
    load = job(1)
    load.calibration = job(2)
    await make_whole(maker, load)
    assert [number for _, number in maker._log] == [2, 1]
    assert load.outcome is not None
    assert load.outcome.total.histogram("media_path").count == 1


async def test_a_load_is_not_made_where_its_calibration_says_nothing() -> None:
    """That is told at once, with whose fault it is."""
    maker: Any = EchoMaker(echoes=False)
    load = job(1)
    load.calibration = job(2)
    with pytest.raises(SlaError, match="In the calibration, before the load: nothing that its calls sent") as caught:
        await make_whole(maker, load)
    assert caught.value.culprit == "the application under test"
    assert [number for _, number in maker._log] == [2]
    assert load.is_over
