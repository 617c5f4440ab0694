"""The catalogue of metrics: one table of what can be measured, named in thresholds and written in reports.

What the core measures is listed here; each tracker brings its own metrics along (``Tracker.metrics``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.metrics.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "CORE_METRICS",
    "PLACES",
    "STATS",
    "Catalogue",
    "Kind",
    "Metric",
    "Place",
    "Unit",
    "core_catalogue",
    "is_stat",
    "percentile_of",
]

Kind = Literal["distribution", "count", "ratio"]
Place = Literal["console", "summary", "tile", "timeline", "percentiles", "worst calls"]

PLACES: tuple[Place, ...] = get_args(Place)
"""Where a prominent metric can be shown.

The live console; the table of key figures in the terminal's summary; the tiles of HTML and Markdown; the first charts
over time; the percentile curves (of a distribution); and what can make a call one of the worst.
"""

STATS = ("count", "min", "mean", "max")
"""The stats of a distribution besides its percentiles (``p0`` to ``p100``, with decimals: ``p99.9``)."""

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_PERCENTILE = re.compile(r"p(\d+(\.\d+)?)")


def is_stat(text: str) -> bool:
    """Tell whether ``text`` reads as a stat: ``max``, ``p99.9`` … (a percentile above 100 does as well)."""
    return text in STATS or _PERCENTILE.fullmatch(text) is not None


def percentile_of(stat: str | None) -> float | None:
    """Return the percentile that a stat names, 0 to 100; None for every other stat."""
    match = _PERCENTILE.fullmatch(stat or "")
    return float(match[1]) if match else None


@dataclass(frozen=True)
class Metric:
    """One thing that is measured.

    Attributes
    ----------
    name
        Dotted name: ``rtt``, ``loss.lost``, ``harness.pacing_error``. Its last part is no stat.
    kind
        ``distribution`` (a histogram, has stats such as ``p99``), ``count`` (adds up over shards) or ``ratio`` of two
        counts (taken after merging).
    unit
        Unit of the value as reported and as thresholds read it.
    description
        What it is, in one line for tables.
    better
        Whether a smaller or a larger value is the better one.
    resolution
        What one step of the integers in its histogram means, in ``unit``: 1e-9 for times kept in ns. One, or one
        divided by a whole number.
    numerator, denominator
        For a ratio: names of the counts it is made of.
    judges_loss
        True where receive drops of our own would falsify it.
    lag
        The distribution that tells how much too long this one's samples may be by our own lateness: of a time of ARI's
        requests and events ``harness.setup_lag`` or the like; empty where there is none.
    source
        Where the definition comes from (RFC section, ITU clause); empty for one of our own.
    error_bound
        How far from the true value it may be.
    oracle
        The independent calculation that tests hold it to, with the path of the test.
    prominent
        True where it is one of the figures that reports show first, and that runs are compared by.
    places
        Where a prominent metric is shown: everywhere, unless it says less.
    rank
        Among prominent metrics, those with a smaller one come first.
    title, label
        Its name for people, as the title of a chart and, shorter, on a tile; the latter is the title if not given.
    compared
        The stats of a prominent metric that runs are compared by; for a count or ratio ``("",)`` or nothing. None: its
        median and p99, or its mean where higher is better.
    """

    name: str
    kind: Kind
    unit: Unit
    description: str
    better: Literal["lower", "higher"] = "lower"
    resolution: float = 1e-9
    numerator: str = ""
    denominator: str = ""
    judges_loss: bool = False
    lag: str = ""
    source: str = ""
    error_bound: str = ""
    oracle: str = ""
    prominent: bool = False
    places: tuple[Place, ...] = PLACES
    rank: int = 500
    title: str = ""
    label: str = ""
    compared: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            message = f"metric {self.name!r}: {problem}"
            raise UsageError(message)

    def _problem(self) -> str:
        """Say what is wrong with the declaration; an empty string when nothing is."""
        if not _NAME.fullmatch(self.name):
            return "a name is made of lower-case words (a-z, 0-9, _), joined by dots"
        if is_stat(self.name.rpartition(".")[2]):
            return "a name must not end like a stat (min, p99 …)"
        if (self.kind == "ratio") != bool(self.numerator and self.denominator):
            return "a ratio, and nothing else, names the two counts that it is made of"
        if not math.isclose(self.resolution * self.steps_per_unit, 1):
            return f"resolution {self.resolution} is neither 1 nor one divided by a whole number"
        if unknown := set(self.places) - set(PLACES):
            return f"{', '.join(sorted(map(repr, unknown)))} is not a place: {', '.join(PLACES)}"
        if wrong := [stat for stat in self.compared or () if (stat == "") == (self.kind == "distribution")]:
            return f"runs of a {self.kind} cannot be compared by {wrong[0]!r}"
        return ""

    @property
    def steps_per_unit(self) -> int:
        """How many steps of the histogram make one ``unit``."""
        return round(1 / self.resolution)

    @property
    def of_control(self) -> bool:
        """Whether it is a time of ARI's requests and events."""
        return bool(self.lag)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in a snapshot that its value is taken from."""
        return (self.numerator, self.denominator) if self.kind == "ratio" else (self.name,)

    @property
    def definition(self) -> str:
        """What it is, with the source of the definition."""
        return f"{self.description} ({self.source})" if self.source else self.description

    @property
    def compared_stats(self) -> tuple[str | None, ...]:
        """The stats that runs are compared by; None for the value of a count or ratio."""
        if not self.prominent:
            return ()
        if self.compared is not None:
            return tuple(stat or None for stat in self.compared)
        if self.kind != "distribution":
            return (None,)
        return ("p50", "p99") if self.better == "lower" else ("mean",)

    @property
    def call_figures(self) -> tuple[str, ...]:
        """The names of the figures of one call (``rtt.max``) that can make it one of the worst."""
        if not self.is_shown("worst calls"):
            return ()
        stats = () if self.kind != "distribution" else ("max", "p99") if self.better == "lower" else ("min",)
        return (self.name, *(f"{self.name}.{stat}" for stat in stats))

    def is_shown(self, place: Place) -> bool:
        """Tell whether it is shown at a place."""
        return self.prominent and place in self.places

    def in_unit(self, steps: float) -> float:
        """Convert histogram steps to ``unit``.

        Dividing by a whole number gives the float nearest to the exact value: the same one that a limit such as
        ``60ms`` is read as, so that values at a limit compare as equal.
        """
        return steps / self.steps_per_unit


def _time(name: str, description: str) -> Metric:
    return Metric(name, "distribution", "s", description)


def _count(name: str, description: str, better: Literal["lower", "higher"] = "lower") -> Metric:
    return Metric(name, "count", "count", description, better)


def _share(name: str, description: str) -> Metric:
    return Metric(name, "distribution", "ratio", f"{description}, second by second", resolution=1e-4)


_CONTROL_ORACLE = "a capture of the ARI connection, tests/oracles/test_control_plane.py"
_CONTROL_BOUND = "0.3 ms or 20 % at p50 with 30 calls at once, 1 ms at p99 with 50 calls a second"

CORE_METRICS: tuple[Metric, ...] = (
    _count("calls.requested", "Calls that the load profile asked for and that were started", "higher"),
    _count("calls.established", "Calls whose media path was completed", "higher"),
    _count("calls.failed", "Calls that never became established"),
    _count("calls.ended", "Established calls that ended as they were told to", "higher"),
    _count("calls.dropped", "Established calls that ended before they were told to"),
    _count("calls.deaf", "Established calls that never heard a packet, on any leg or on one that should have"),
    _count("calls.not_started", "Calls that this generator could not start in time: its own fault"),
    _count("calls.leaked", "Calls of which Asterisk still lists a channel or bridge after the load's end"),
    _count("calls.left_unknown", "Calls of which it could not be asked whether anything is left"),
    Metric(
        "calls.success_ratio",
        "ratio",
        "ratio",
        "Established calls of those requested",
        better="higher",
        numerator="calls.established",
        denominator="calls.requested",
        prominent=True,
        places=(),
        rank=120,
        title="Calls that succeeded",
    ),
    Metric(
        "turn",
        "distribution",
        "s",
        "From the end of a caller's speech until the application's next speech begins",
        error_bound="5 ms at p99, plus one frame of the application's",
        oracle="the log of the application itself, tests/asterisk/test_voice_bot.py",
        prominent=True,
        places=("console", "summary", "tile", "timeline", "percentiles", "worst calls"),
        rank=6,
        title="Time until the application answers a turn",
        label="Turn",
    ),
    Metric(
        "greeting",
        "distribution",
        "s",
        "From the answer until the first speech of the application, where it speaks first",
        error_bound="5 ms at p99, plus one frame of the application's",
        oracle="the log of the application itself, tests/asterisk/test_voice_bot.py",
        prominent=True,
        places=("summary", "tile", "percentiles", "worst calls"),
        rank=7,
        title="Time until the greeting",
        label="Greeting",
    ),
    Metric(
        "barge_in",
        "distribution",
        "s",
        "From the beginning of a caller's speech over the application's until that falls silent",
        error_bound="5 ms at p99, plus one frame of the application's",
        oracle="the log of the application itself, tests/asterisk/test_voice_bot.py",
        prominent=True,
        places=("summary", "tile", "percentiles", "worst calls"),
        rank=8,
        title="Time until an interrupted application is silent",
        label="Barge-in",
    ),
    _time("dead_air", "The longest silence of the application in a call while the caller listened"),
    _time("talk_over", "For how long in a call the application spoke while the caller did, but where they barge in"),
    _count("script.runs", "Scripts that came to an end, well or badly", "higher"),
    _count("script.completed", "Scripts that were followed to their end", "higher"),
    _count("script.failed", "Scripts that could not go on"),
    _count("script.step_timeouts", "Scripts that could not go on since what they waited for did not come in time"),
    _time("sip.pdd", "From an INVITE until the first response that tells of progress (180, 183), or the answer"),
    _time("sip.setup", "From an INVITE until the call was answered"),
    _count("sip.failed", "INVITEs that were refused, or that nobody responded to"),
    _count("target.leftovers", "Channels and bridges of the application under test that outlive the scripts' calls"),
    Metric(
        "script.completed_ratio",
        "ratio",
        "ratio",
        "Scripts that were followed to their end",
        better="higher",
        numerator="script.completed",
        denominator="script.runs",
        prominent=True,
        places=("summary", "tile"),
        rank=5,
        title="Scripts completed",
    ),
    Metric(
        "setup",
        "distribution",
        "s",
        "From the POST that creates a channel until its StasisStart",
        lag="harness.setup_lag",
        error_bound=_CONTROL_BOUND,
        oracle=_CONTROL_ORACLE,
        prominent=True,
        places=("console", "summary", "tile", "timeline", "percentiles"),
        rank=10,
        title="Set-up time",
        label="Set-up",
    ),
    Metric(
        "first_packet",
        "distribution",
        "s",
        "From when Asterisk could have sent it (ours was due; before that: the call was up) until a call's first RTP "
        "packet came, on its slowest leg; never (1 h) where none did",
        judges_loss=True,
        error_bound="50 us, and as late as ours left then (harness.pacing_error)",
        oracle="a capture of the same load, tests/oracles/test_media.py",
        prominent=True,
        places=("console", "summary", "percentiles"),
        rank=20,
        title="Time until the first packet",
    ),
    Metric(
        "ari.request",
        "distribution",
        "s",
        "From the last byte of a call's request until the last byte of its answer",
        lag="harness.request_lag",
        error_bound=_CONTROL_BOUND,
        oracle=_CONTROL_ORACLE,
        prominent=True,
        places=("summary", "timeline", "percentiles"),
        rank=90,
        title="ARI request time",
        compared=("p50",),
    ),
    _count("ari.errors", "ARI requests that failed: an error status, a time-out, a broken connection"),
    Metric(
        "ari.event_lag",
        "distribution",
        "s",
        "From the time stamp of a call's event until it arrived",
        lag="harness.event_lag",
        error_bound=f"{_CONTROL_BOUND}; Asterisk's stamps are of whole milliseconds",
        oracle=_CONTROL_ORACLE,
        title="Lateness of ARI events",
    ),
    Metric(
        "harness.pacing_error",
        "distribution",
        "s",
        "How late a packet was sent, against its schedule",
        prominent=True,
        places=("timeline",),
        rank=900,
        title="How late this generator sent",
        compared=(),
    ),
    _count("harness.receive_drops", "Packets that were dropped in our own receive buffers"),
    _count("harness.not_sent", "Packets that the schedule called for and that were not sent"),
    _time("harness.measuring_stall", "How long the measuring process stood still, where it did for 1 s"),
    _time("harness.media_stall", "How long the process that moves packets stood still, where it did for 250 ms"),
    _time("harness.echo_stall", "How long the echo server behind the relay stood still, where it did for 250 ms"),
    _count("harness.foreign_packets", "Packets from addresses that no call expects; ignored"),
    _count("harness.malformed_packets", "Datagrams from a call's address that are no RTP packets; ignored"),
    _count("harness.unwritten_frames", "Frames that were not sent since our connection took no more bytes"),
    _count("harness.merged_reads", "Reads of a stream that gave several frames, which share the last one's arrival"),
    _time("target.stall", "How long a request took that needs a channel's lock, once a second, while others did not"),
    _time("target.stopped_answering", "How long a request took that needs no lock, once a second"),
    _count("target.restarts", "Times that Asterisk was found to have been started anew"),
    _count("target.held_frames", "Frames that were not sent since Asterisk had said that its queue is full"),
    Metric(
        "target.queue_backlog",
        "distribution",
        "s",
        "How long a frame waits in the queue of Asterisk's WebSocket channels, as GET_STATUS tells once a second",
    ),
    _count("harness.reports_sent", "RTCP sender reports that this generator sent", "higher"),
    _count("harness.reports_ignored", "RTCP datagrams that no call expects, or that cannot be read; ignored"),
    _time("harness.control_lag", "How much too long control-plane times may be: bytes handed over or read late by us"),
    _time("harness.setup_lag", "The same of set-up times: of the request and of the event"),
    _time("harness.request_lag", "The same of requests' times"),
    _time("harness.event_lag", "The same of events' times"),
    _time("harness.clock_floor", "Two readings of the clock in a row: what no delay can be told from"),
    _count("harness.trackers_failed", "Trackers that raised an exception and were left out; their metrics are missing"),
    _count("harness.batches_left_out", "Batches of packets that a tracker raised over; its metrics lack them"),
    _count("harness.clock_steps", "Jumps of the system clock against the monotonic one, during the load"),
    Metric(
        "harness.cpu",
        "distribution",
        "ratio",
        "Share of one core that the media loop used, second by second",
        resolution=1e-4,
    ),
    Metric(
        "harness.watch_cpu",
        "distribution",
        "ratio",
        "Share of one core that the watch of the target used, second by second",
        resolution=1e-4,
    ),
    Metric(
        "harness.memory",
        "distribution",
        "B",
        "Memory in RAM of each process that makes calls and measures them, second by second",
        resolution=1,
    ),
    _share("harness.host_ours", "Share of the cores that we may run on, and the target with us, which we took"),
    _share("harness.host_others", "Share of the same cores that all others took, the target among them"),
    _count("harness.starving", "Seconds in which these cores were busy, 40 % of them with us, and others were waiting"),
)
"""What is measured whatever trackers there are."""


class Catalogue:
    """All metrics that are known in a session, and who declared them.

    Iteration is by name; :meth:`lookup` and :meth:`owner` know exact names only.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._owners: dict[str, str] = {}

    def register(self, metrics: Iterable[Metric], owner: str) -> None:
        """Add metrics that ``owner`` (a tracker, a plug-in) measures: all of them, or none when one is refused.

        Raises
        ------
        UsageError
            When a name is taken, naming both owners, or when a ratio names a count that is not there.
        """
        added: dict[str, Metric] = {}
        for metric in metrics:
            if metric.name in self._metrics or metric.name in added:
                other = self._owners.get(metric.name, owner)
                message = f"metric {metric.name!r} is declared twice: by {other} and by {owner}"
                raise UsageError(message)
            added[metric.name] = metric
        known = self._metrics | added
        for metric in added.values():
            _check_parts(metric, known)
        self._metrics = known
        self._owners |= dict.fromkeys(added, owner)

    def lookup(self, name: str) -> Metric:
        """Return the metric of that name.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        try:
            return self._metrics[name]
        except KeyError:
            raise UnknownName("metric", name, self._metrics) from None

    def owner(self, name: str) -> str:
        """Return who declared the metric.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        return self._owners[self.lookup(name).name]

    def prominent(self, place: Place | None = None) -> list[Metric]:
        """Return the prominent metrics, or those of them that a place shows, in the order in which they are shown."""
        chosen = (metric for metric in self if (metric.prominent if place is None else metric.is_shown(place)))
        return sorted(chosen, key=lambda metric: metric.rank)

    def __contains__(self, name: object) -> bool:
        return name in self._metrics

    def __iter__(self) -> Iterator[Metric]:
        return (self._metrics[name] for name in sorted(self._metrics))

    def __len__(self) -> int:
        return len(self._metrics)


def _check_parts(metric: Metric, known: dict[str, Metric]) -> None:
    """Refuse a ratio whose parts are not counts of the catalogue."""
    for part in filter(None, (metric.numerator, metric.denominator)):
        if part not in known or known[part].kind != "count":
            message = f"ratio {metric.name!r} is made of {part!r}, which is not a count of the catalogue"
            raise UsageError(message)


def core_catalogue() -> Catalogue:
    """Return a new catalogue that holds what the core measures."""
    catalogue = Catalogue()
    catalogue.register(CORE_METRICS, "pytest-ari-sla")
    return catalogue
