"""Guards: when the load generator itself stands in the way of a verdict on Asterisk.

========================  =================================  ================================================
guard                     makes a pass inconclusive          makes a failure inconclusive
========================  =================================  ================================================
pacing error p99 beyond   of every metric: the load was not  of distributions, and of metrics that judge loss
``pacing_error_s``        the one that was asked for
receive drops; more than  of metrics that judge loss         of metrics that judge loss
0.1 % of packets unsent
clock steps               of distributions in seconds        of distributions in seconds
control lag               of times of ARI's requests and     of times of ARI's requests and events, if they would
                          events, likewise                   hold or break the limit otherwise without it
the measuring process     -                                  of metrics that judge loss, and of times of ARI's
stood still                                                  requests and events
the process that moves    -                                  of distributions, and of metrics that judge loss
packets stood still, the
relay or the echo server
no more open files or     -                                  of whatever a call's lack of media may have caused
local ports for calls
we kept the target from   -                                  of whatever the target does late, or not at all
the processor
packets whose fate is     of loss, if all of them lost would break the limit or none of them would hold it; of other
not known                 metrics that judge loss, if they are more than 0.1 %
batches that a tracker    of this tracker's metrics          of this tracker's metrics
raised over
========================  =================================  ================================================

The lag and the unknown fates are those of what is judged itself: of a window, those in it (:func:`reaching_guards`).

What stood still is told by its name. It spoils no pass: what the kernel has stamped meanwhile is read later, and what
is not known any more is counted as such.

The generator's own metrics (``harness.…``) are judged as they are. Failures that the generator cannot cause stay
failures; only where it runs on the target's own cores and takes too much of them may it cause nearly all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.metric import percentile_of
from pytest_ari_sla.metrics.units import counted, format_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.snapshot import Snapshot

__all__ = ["LEFT_OUT", "OUT_OF_FILES", "Guard", "reach_names", "reaching_guards", "stalled", "tripped_guards"]

LEFT_OUT = "left_out:"
"""Begins the names of counts in a snapshot that tell how many batches are missing in a metric, whose name follows."""

OUT_OF_FILES = (
    "this tool had no more open files or local ports, so that calls' connections had to wait: raise the limit "
    "(ulimit -n, sysctl net.ipv4.ip_local_port_range)"
)
"""What is told where ``harness.out_of_files`` is not 0."""

_NS_PER_S = 1e9
_LOSS = ("loss.lost", "loss.ratio")
"""What packets of unknown fate add to, as far as they are lost."""
_FATES = ("loss.sent", "loss.unknown")

_STALLS = {
    "measuring_stall": "the measuring process",
    "media_stall": "the process that moves packets",
    "relay_stall": "the relay",
    "echo_stall": "the echo server",
}
_UNSENT_SHARE = 0.001
"""A load is the one asked for as long as no more than this share of its packets stayed unsent; they are never lost."""


_STARVING_SHARE = 0.1
"""Of the seconds; one alone does not count."""
_SHARE_STEPS = 10_000  # harness.host_ours is kept in steps of 0.01 %
_LAG_PERCENTILE = 99
"""A percentile up to this one is told too long by no more than this one of the lag, but for a sample in a hundred."""


@dataclass(frozen=True)
class Guard:
    """A fault of the generator that was found.

    Attributes
    ----------
    name
        ``pacing``, ``receive_drops``, ``not_sent``, ``clock``, ``control_lag``, ``starving``, ``out_of_files``,
        ``measuring_stall``, ``media_stall``, ``relay_stall``, ``echo_stall``, ``loss_unknown``, ``much_unknown`` or
        ``left_out``.
    reason
        What happened, as a part of a sentence.
    reach_s
        How much too long it may have made a time; None where there is no telling.
    unknown
        (Packets whose fate is known, those whose fate is not), where that is the fault.
    only
        The names that it is about; None for all of its kind.
    """

    name: str
    reason: str
    reach_s: float | None = None
    unknown: tuple[int, int] | None = None
    only: frozenset[str] | None = None

    def may_decide(self, metric: Metric, value: float, holds: Callable[[float], bool]) -> bool:
        """Tell whether a value might be judged otherwise without this fault."""
        others = self._others(metric, value)
        return others is None or any(holds(value) != holds(other) for other in others)

    def _others(self, metric: Metric, value: float) -> Sequence[float] | None:
        """Return the values that are as likely, furthest from this one; None where there is no telling."""
        if self.reach_s is not None:
            return (max(0.0, value - self.reach_s),)
        if self.unknown is None:
            return None
        known, unknown = self.unknown
        if metric.kind == "count":
            return (value + unknown,)
        # All of them have come back; all of them are lost.
        return value * known / (known + unknown), (value * known + unknown) / (known + unknown)

    def spoils_pass(self, metric: Metric) -> bool:
        """Tell whether a pass of this metric cannot be believed."""
        return self._concerns(metric) and _SPOILS_PASS[self.name](metric)

    def spoils_failure(self, metric: Metric) -> bool:
        """Tell whether the generator may have caused a failure of this metric."""
        return self._concerns(metric) and _SPOILS_FAILURE[self.name](metric)

    def _concerns(self, metric: Metric) -> bool:
        is_ours_to_judge = not metric.name.startswith("harness.")
        return is_ours_to_judge and (self.only is None or not self.only.isdisjoint(metric.names))


def _any_metric(metric: Metric) -> bool:
    return True


def _judges_loss(metric: Metric) -> bool:
    return metric.judges_loss


def _distribution_or_loss(metric: Metric) -> bool:
    return metric.kind == "distribution" or metric.judges_loss


def _of_control(metric: Metric) -> bool:
    return metric.of_control


def _judges_loss_or_control(metric: Metric) -> bool:
    return metric.judges_loss or metric.of_control


def _no_metric(metric: Metric) -> bool:
    return False


def _is_loss(metric: Metric) -> bool:
    return metric.name in _LOSS


def _is_other_loss(metric: Metric) -> bool:
    return metric.judges_loss and metric.name not in _LOSS


def _distribution_of_time(metric: Metric) -> bool:
    return metric.kind == "distribution" and metric.unit == "s"


# Asked for after the load, or our own fault by definition: a busy machine excuses none of them.
_NOT_BY_STARVING = ("calls.leaked", "calls.left_unknown", "calls.not_started")


def _needs_time(metric: Metric) -> bool:
    is_of_calls = metric.name.startswith(("calls.", "ari.")) and metric.name not in _NOT_BY_STARVING
    return is_of_calls or _distribution_or_loss(metric)


_SPOILS_PASS: dict[str, Callable[[Metric], bool]] = {
    "pacing": _any_metric,
    "receive_drops": _judges_loss,
    "not_sent": _judges_loss,
    "clock": _distribution_of_time,
    "control_lag": _of_control,
    "starving": _no_metric,
    "out_of_files": _no_metric,
    "measuring_stall": _no_metric,
    "media_stall": _no_metric,
    "relay_stall": _no_metric,
    "echo_stall": _no_metric,
    "loss_unknown": _is_loss,
    "much_unknown": _is_other_loss,
    "left_out": _any_metric,
}
_SPOILS_FAILURE = _SPOILS_PASS | {
    "pacing": _distribution_or_loss,
    "starving": _needs_time,
    "out_of_files": _needs_time,
    "measuring_stall": _judges_loss_or_control,
    "media_stall": _distribution_or_loss,
    "relay_stall": _distribution_or_loss,
    "echo_stall": _distribution_or_loss,
}


def tripped_guards(measured: Snapshot, pacing_error_s: float) -> tuple[Guard, ...]:
    """Return the faults of the generator that a snapshot tells of.

    Parameters
    ----------
    measured
        The span of time that is judged.
    pacing_error_s
        The largest 99th percentile of ``harness.pacing_error`` that is put up with.
    """
    return tuple(_tripped(measured, pacing_error_s))


def _tripped(measured: Snapshot, pacing_error_s: float) -> Iterator[Guard]:
    pacing = measured.histogram("harness.pacing_error")
    if pacing.count and (late_s := pacing.percentile(99) / _NS_PER_S) > pacing_error_s:
        late, limit = format_quantity(late_s, "s"), format_quantity(pacing_error_s, "s")
        yield Guard("pacing", f"the load generator sent late: pacing error p99 {late}, limit {limit}")
    if drops := measured.count("harness.receive_drops"):
        foreign = measured.count("harness.foreign_packets")
        beside = f", into which others sent {counted(foreign, 'packet')}" if foreign else ""
        yield Guard("receive_drops", f"{counted(drops, 'packet')} dropped in our own receive buffers{beside}")
    not_sent = measured.count("harness.not_sent")
    if not_sent > _UNSENT_SHARE * (pacing.count + not_sent):  # a pacing error is recorded for each packet sent
        yield Guard("not_sent", f"the load generator left {counted(not_sent, 'packet')} unsent")
    if steps := measured.count("harness.clock_steps"):
        yield Guard("clock", f"the system clock jumped {counted(steps, 'time')} during the load")
    left_out = {name.removeprefix(LEFT_OUT): measured.count(name) for name in measured if name.startswith(LEFT_OUT)}
    for batches in sorted(set(left_out.values()) - {0}):
        # All metrics of a tracker miss the same batches: that is one sentence, not one for each.
        names = frozenset(name for name, number in left_out.items() if number == batches)
        yield Guard("left_out", f"a tracker failed over {counted(batches, 'batch', 'batches')} of packets", only=names)
    ours, starving = measured.histogram("harness.host_ours"), measured.count("harness.starving")
    if starving > max(1, _STARVING_SHARE * ours.count):
        took = f"up to {ours.max / _SHARE_STEPS:.0%}".replace("%", " %")
        yield Guard(
            "starving", f"the load generator took {took} of the cores that the target runs on, all of them busy"
        )
    if measured.count("harness.out_of_files"):
        yield Guard("out_of_files", OUT_OF_FILES)
    for name, words in stalled(measured).items():
        yield Guard(name, words)


def reach_names(metric: Metric) -> tuple[str, ...]:
    """Return the names in a snapshot that tell how far the faults of :func:`reaching_guards` reach."""
    return ((metric.lag,) if metric.lag else ()) + (_FATES if metric.judges_loss else ())


def reaching_guards(metric: Metric, stat: str | None, measured: Snapshot) -> tuple[Guard, ...]:
    """Return the faults of the generator that change one figure by as much as can be told.

    Parameters
    ----------
    metric, stat
        The figure.
    measured
        What the figure was taken from: a load, a stage or a single window.
    """
    return (*_control_lag(metric, stat, measured), *_unknown_fates(metric, measured))


def _control_lag(metric: Metric, stat: str | None, measured: Snapshot) -> Iterator[Guard]:
    lag = measured.histogram(metric.lag)
    if not lag.count:
        return
    if stat == "mean":
        words, lag_s = "mean", lag.mean / _NS_PER_S
    elif stat == "max" or (percentile_of(stat) or 0) > _LAG_PERCENTILE:
        words, lag_s = "at most", lag.max / _NS_PER_S
    else:
        words, lag_s = f"p{_LAG_PERCENTILE}", lag.percentile(_LAG_PERCENTILE) / _NS_PER_S
    late = format_quantity(lag_s, "s")
    yield Guard("control_lag", f"it may be too long by our own control lag ({metric.lag}): {words} {late}", lag_s)


def stalled(measured: Snapshot) -> dict[str, str]:
    """Return which part of the generator stood still, and for how long, in words by the guard's name."""
    stalls = {name: measured.histogram(f"harness.{name}") for name in _STALLS}
    return {
        name: f"{_STALLS[name]} stood still for {stall.total / _NS_PER_S:.1f} s"
        + (f" (in {stall.count:,} pieces)" if stall.count > 1 else "")
        for name, stall in stalls.items()
        if stall.count
    }


def _unknown_fates(metric: Metric, measured: Snapshot) -> Iterator[Guard]:
    known, unknown = map(measured.count, _FATES)
    if not unknown or not metric.judges_loss:
        return
    words = f"it is not known what became of {counted(unknown, 'packet')}"
    if metric.name in _LOSS:
        yield Guard("loss_unknown", words, unknown=(known, unknown))
    elif unknown > _UNSENT_SHARE * (known + unknown):
        yield Guard("much_unknown", words)
