"""The configuration of a private Asterisk, as text: only what a load needs, reachable from one address only.

Nothing here touches a disk; :func:`render_configuration` gives the files' contents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.websocket_client import SORCERY_CONF
from pytest_ari_sla.targets.asterisk.sip import SIP_MODULES, render_pjsip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["MODULES", "AsteriskConfiguration", "render_configuration"]

# In loading order. What a version does not have is left out: 16 has neither chan_audiosocket nor chan_websocket.
MODULES = (
    *("res_sorcery_config", "res_sorcery_memory", "res_sorcery_astdb", "res_pjproject", "res_timing_timerfd"),
    *("res_http_websocket", "res_websocket_client", "res_stasis", "res_stasis_answer", "res_stasis_device_state"),
    *("res_stasis_playback", "res_stasis_recording", "res_stasis_snoop", "app_stasis"),
    *("res_ari", "res_ari_model", "res_ari_applications", "res_ari_asterisk", "res_ari_bridges", "res_ari_channels"),
    *("res_ari_device_states", "res_ari_endpoints", "res_ari_events", "res_ari_playbacks", "res_ari_recordings"),
    *("res_ari_sounds", "res_rtp_multicast", "res_rtp_asterisk", "chan_rtp", "chan_bridge_media"),
    *("res_audiosocket", "chan_audiosocket", "chan_websocket", "res_musiconhold"),
    *("bridge_simple", "bridge_softmix", "bridge_native_rtp", "bridge_holding", "bridge_builtin_features"),
    *("codec_ulaw", "codec_alaw", "codec_a_mu", "codec_g722", "codec_gsm", "codec_resample", "codec_opus_open_source"),
    *("format_pcm", "format_sln", "format_wav", "format_gsm"),
    *(
        "app_dial",
        "app_echo",
        "app_playback",
        "app_senddtmf",
        "func_callerid",
        "func_channel",
        "func_config",
        "func_dialplan",
        "func_global",
        "func_talkdetect",
        "pbx_config",
    ),
    *SIP_MODULES,
)

# ``stasis`` leads to the application that has the extension's name, ``sip`` is where SIP callers come in.
# The pattern wants two characters: one alone would take in ``h``, which Asterisk runs after each hang-up.
_EXTENSIONS = """\
[default]
exten => echo,1,Answer()
 same => n,Echo()
 same => n,Hangup()

[stasis]
exten => _[A-Za-z0-9].,1,Stasis(${EXTEN})
 same => n,Hangup()

[sip]
include => default
include => stasis
"""

# A slow reader of events is our fault and measured as such; 100 ms (Asterisk's default) would cut it off at once.
_WEBSOCKET_WRITE_TIMEOUT_MS = 5000
# Files that Asterisk's core asks for at start; empty ones keep its log free of errors that mean nothing.
_EMPTY_FILES = (
    *(
        "acl.conf",
        "ccss.conf",
        "codecs.conf",
        "dnsmgr.conf",
        "dsp.conf",
        "enum.conf",
        "extconfig.conf",
        "features.conf",
    ),
    *("geolocation.conf", "musiconhold.conf", "pjproject.conf", "stasis.conf"),
    *("udptl.conf", "websocket_client.conf", "chan_websocket.conf", "sip_notify.conf", "cli.conf"),
    *("cli_aliases.conf", "cli_permissions.conf", "res_parking.conf"),
)


@dataclass(frozen=True, kw_only=True)
class AsteriskConfiguration:
    """What differs between one private Asterisk and the next.

    Attributes
    ----------
    work_folder
        Holds everything that it writes.
    modules_folder, data_folder
        Parts of the installation, see ``AsteriskInstallation``.
    address, ari_port, sip_port
        Where its HTTP server and its SIP listen.
    user, password
        The one user of ARI, and of SIP.
    rtp_ports
        First and last port for RTP.
    session_limit
        Connections that its HTTP server holds at a time.
    open_files
        Its limit of open files.
    modules
        Names of the modules to load.
    files
        More configuration files, by name; they replace ours of the same name.
    """

    work_folder: Path
    modules_folder: Path
    data_folder: Path
    address: str
    ari_port: int
    sip_port: int
    user: str
    password: str = field(repr=False)
    rtp_ports: tuple[int, int]
    session_limit: int
    open_files: int
    modules: Iterable[str] = MODULES
    files: Mapping[str, str] = field(default_factory=dict)


def render_configuration(configuration: AsteriskConfiguration) -> dict[str, str]:
    """Return the text of each configuration file, by file name."""
    low, high = configuration.rtp_ports
    files = {
        "asterisk.conf": _asterisk_conf(configuration),
        "modules.conf": _modules_conf(configuration.modules),
        "http.conf": (
            f"[general]\nenabled = yes\nbindaddr = {configuration.address}\nbindport = {configuration.ari_port}\n"
            f"sessionlimit = {configuration.session_limit}\n"
        ),
        "ari.conf": (
            f"[general]\nenabled = yes\nwebsocket_write_timeout = {_WEBSOCKET_WRITE_TIMEOUT_MS}\n\n"
            f"[{configuration.user}]\ntype = user\npassword = {configuration.password}\nread_only = no\n"
        ),
        # Our own packets are checked by our own rules; STUN and ICE would only add traffic.
        "rtp.conf": f"[general]\nrtpstart = {low}\nrtpend = {high}\nicesupport = no\n",
        "extensions.conf": _EXTENSIONS,
        "pjsip.conf": render_pjsip(
            configuration.address, configuration.sip_port, configuration.user, configuration.password
        ),
        # So that each load can say where Asterisk is to connect to for its WebSocket media, while Asterisk runs.
        "sorcery.conf": SORCERY_CONF,
        # With milliseconds, so that its lines can be laid beside a load's events.
        "logger.conf": "[general]\ndateformat = %F %T.%3q\n\n[logfiles]\nmessages.log => notice,warning,error\n",
        "indications.conf": (
            "[general]\ncountry = us\n\n[us]\ndescription = United States\nringcadence = 2000,4000\n"
            "dial = 350+440\nring = 440+480/2000,0/4000\n"
        ),
        "manager.conf": "[general]\nenabled = no\n",
        # Nobody reads records here, and to make them would count as a part of each call's cost.
        "cdr.conf": "[general]\nenable = no\n",
        "cel.conf": "[general]\nenable = no\n",
    }
    return {**dict.fromkeys(_EMPTY_FILES, ""), **files, **configuration.files}


def _asterisk_conf(configuration: AsteriskConfiguration) -> str:
    work = configuration.work_folder
    folders = {
        "astetcdir": work / "etc",
        "astmoddir": configuration.modules_folder,
        "astvarlibdir": work / "var",
        "astdbdir": work / "var",
        "astkeydir": work / "var",
        "astdatadir": configuration.data_folder,
        "astagidir": work / "var",
        "astspooldir": work / "spool",
        "astrundir": work / "run",
        "astlogdir": work / "log",
        "astcachedir": work / "var",
    }
    lines = [f"{name} = {folder}" for name, folder in folders.items()]
    return "\n".join(
        # No colour: escape sequences would get into what is shown of the console in errors and forensics.
        ["[directories]", *lines, "", "[options]", "nocolor = yes", f"maxfiles = {configuration.open_files}", ""]
    )


def _modules_conf(modules: Iterable[str]) -> str:
    return "\n".join(["[modules]", "autoload = no", *(f"load = {module}.so" for module in modules), ""])
