"""What the user asked for on the command line, in the environment and in ini files; values only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

__all__ = ["DEFAULT_CODEC", "DEFAULT_TOPOLOGY", "DEFAULT_TRANSPORT", "TRUST_SYSTEM", "Settings", "TlsTrust"]

DEFAULT_CODEC = "PCMU"
DEFAULT_TRANSPORT = "rtp"
DEFAULT_TOPOLOGY = "echo"
"""What ``load()`` takes where a test names none: any plug-in may have registered them."""


@dataclass(frozen=True)
class TlsTrust:
    """Which certificate of an ``https`` target is believed.

    Attributes
    ----------
    ca_file
        Who signed it; None: anybody whom the system trusts.
    verify
        Whether it is checked at all.
    """

    ca_file: str | None = None
    verify: bool = True


TRUST_SYSTEM = TlsTrust()
"""Where nothing is said: as any program on this machine."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All options, read and checked.

    Attributes
    ----------
    ari_url, ari_user, ari_password
        The target's address and credentials; no URL: a target that this tool starts.
    ari_ca_file, ari_insecure
        The CA of an ``https`` target's certificate; whether not to check it at all.
    asterisk
        A binary, or the root folder of a file system that holds one: a private Asterisk is the target.
    asterisk_config
        Folder of configuration files that the private Asterisk has besides ours, or instead.
    app
        Command that starts the application under test.
    target_kind
        ``external``, ``private`` or ``simulator``: the only target that is accepted; None: any.
    calls
        Overrides the number of calls of every load (total over the fleet).
    duration_ns
        Overrides every load's duration.
    media_host
        The address that Asterisk sends media to; None: the one that is bound, or routes to the target.
    media_bind
        The address of this machine that takes media; None: ``media_host``, or what routes to the target.
    asterisk_media
        Where Asterisk takes media; None: where it says itself.
    rtp_ports
        First and last port that sockets are leased from; None: the port manager's own range.
    echo_extension
        Context and extension of the dialplan that runs ``Echo()``.
    relay, echo
        ``host:port`` of a relay and an echo server that run already; None: they are started here.
    sla, sla_ini
        Thresholds for every scenario: from the command line, and from the ini file.
    inconclusive
        ``fail`` or ``pass``: what an inconclusive verdict is to pytest.
    pacing_limit_s
        Largest 99th percentile of our own pacing error.
    report_folder
        None: ``reports/<UTC start>-<run id>``.
    baseline, max_regression, baseline_floor_s
        A ``report.json`` to compare with, the relative change for the worse that is accepted, and the time by which a
        figure may get worse in any case.
    against
        The ARI URL of another target, or where its Asterisk is, that each load is put on as well, in turns.
    live
        ``auto``, ``on`` or ``off``.
    templates
        Folder whose templates override blocks of the HTML report.
    capture
        Which calls' packets are kept: ``worst:5``, ``failed``, ``all`` or ``off``.
    forensics
        Whether evidence is taken where the target stalls or dies.
    prometheus_port
        Where metrics are served during the run; None: nowhere.
    realtime
        Whether packets may be moved under SCHED_FIFO.
    """

    ari_url: str | None = None
    ari_user: str | None = None
    ari_password: str | None = field(default=None, repr=False)
    ari_ca_file: str | None = None
    ari_insecure: bool = False
    asterisk: str | None = None
    asterisk_config: str | None = None
    app: str | None = None
    target_kind: str | None = None
    calls: int | None = None
    duration_ns: int | None = None
    media_host: str | None = None
    media_bind: str | None = None
    asterisk_media: str | None = None
    rtp_ports: tuple[int, int] | None = None
    echo_extension: tuple[str, str] = ("default", "echo")
    relay: tuple[str, int] | None = None
    echo: tuple[str, int] | None = None
    sla: tuple[str, ...] = ()
    sla_ini: tuple[str, ...] = ()
    inconclusive: str = "fail"
    pacing_limit_s: float = 0.005
    report_folder: str | None = None
    baseline: str | None = None
    max_regression: float = 0.10
    baseline_floor_s: float = 100e-6
    against: str | None = None
    live: str = "auto"
    templates: str | None = None
    capture: str = "worst:5"
    forensics: bool = True
    prometheus_port: int | None = None
    realtime: bool = True

    @property
    def ari_trust(self) -> TlsTrust:
        """Which certificate of the target is believed."""
        return TlsTrust(self.ari_ca_file, verify=not self.ari_insecure)

    def of_other_target(self) -> Settings | None:
        """Return the same for the target that loads are compared against; None where there is none."""
        if self.against is None:
            return None
        is_url = "://" in self.against
        return replace(
            self,
            ari_url=self.against if is_url else None,
            asterisk=None if is_url else self.against,
            asterisk_config=None if is_url else self.asterisk_config,  # it is for an Asterisk that we start
            target_kind=None,  # both are about the session's own target
            baseline=None,
            against=None,
        )
