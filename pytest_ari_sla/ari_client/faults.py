"""What goes wrong between us and ARI, in sentences that name the guilty side and what to do about it.

aiohttp's exceptions hold the URL only, never the Authorization header; the URL that is used holds no credentials. So
nothing here can show a password.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from pytest_ari_sla.ari.lenient import UNREADABLE
from pytest_ari_sla.errors import (
    AnswerDamaged,
    AriAuthenticationFailed,
    AriRequestFailed,
    AriTimeout,
    AriUnreachable,
    NotAnAsterisk,
    TlsFailed,
    UsageError,
)
from pytest_ari_sla.udp.host_limits import kept_from_connecting, lacks_files, telling_errno

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.errors import SlaError

__all__ = [
    "damaged",
    "error_of_answer",
    "error_of_blocking_failure",
    "error_of_failure",
    "not_ari",
    "redirected",
    "where",
]

_HOW_TO_ENABLE = (
    "enable ARI (enabled=yes in ari.conf and http.conf, module res_ari) and check the URL's path (prefix in http.conf)"
)

_NO_WAY = {
    errno.ENETUNREACH: "this machine has no route there: check the address, and the routes (ip route get)",
    errno.EHOSTUNREACH: "is the address right, and its host up? A firewall may refuse as well",
}


def where(endpoint: AriEndpoint) -> str:
    """Return host and port for sentences."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def error_of_failure(failure: Exception, endpoint: AriEndpoint, request: str, timeout_s: float) -> SlaError:
    """Return our error for a request that got no (whole) answer.

    Parameters
    ----------
    failure
        What aiohttp or asyncio raised.
    request
        Method and path, for the sentence.
    timeout_s
        The time-out that was in force.
    """
    at = where(endpoint)
    # Narrow classes first: aiohttp's DNS, TLS and time-out errors are ClientConnectorErrors or TimeoutErrors as well.
    match failure:
        case aiohttp.ClientConnectorDNSError():
            return _not_resolved(endpoint)
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_refused(failure.certificate_error, at)
        case aiohttp.ClientSSLError():
            return _handshake_failed(failure.os_error, at)
        case aiohttp.ConnectionTimeoutError():
            return _silent(at)
        case aiohttp.ClientConnectorError():
            return _not_connected(failure.os_error, at)
        case TimeoutError():
            return AriTimeout(
                f"{request} got no answer from ARI at {at} within {timeout_s:g} s; Asterisk is overloaded or hangs"
            )
        case aiohttp.ClientPayloadError():
            return damaged(endpoint, request, "was cut off in the middle")
        case aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return not_ari(endpoint, f"what answered {request} is not valid HTTP")
        case _:
            return _closed_unanswered(at, request)


def error_of_blocking_failure(failure: Exception, endpoint: AriEndpoint, request: str, timeout_s: float) -> SlaError:
    """Return our error for a request of :mod:`urllib` that failed; the parameters of :func:`error_of_failure`."""
    at = where(endpoint)
    # urllib wraps what fails before the request is sent in URLError; what fails in reading the answer comes bare.
    match failure:
        case HTTPError():
            method, _, path = request.partition(" ")
            if location := failure.headers.get("Location"):
                return redirected(endpoint, request, failure.code, location)
            return error_of_answer(endpoint, method, path, failure.code, failure.read())
        case URLError(reason=socket.gaierror()):
            return _not_resolved(endpoint)
        case URLError(reason=ssl.SSLCertVerificationError() as reason):
            return _certificate_refused(reason, at)
        case URLError(reason=ssl.SSLError() as reason):
            return _handshake_failed(reason, at)
        case URLError(reason=TimeoutError()):
            return _silent(at)
        case TimeoutError():
            return AriTimeout(
                f"{request} got no answer from ARI at {at} within {timeout_s:g} s; Asterisk is overloaded or hangs"
            )
        case URLError(reason=ConnectionResetError()) | ConnectionError():  # http.client.RemoteDisconnected is one
            return _closed_unanswered(at, request)
        case URLError(reason=OSError() as reason):
            return _not_connected(reason, at)
        case http.client.IncompleteRead():
            return damaged(endpoint, request, "was cut off in the middle")
        case msgspec.DecodeError():
            return not_ari(endpoint, f"what answered {request} is not ARI's JSON")
        case _:
            return not_ari(endpoint, f"what answered {request} is not valid HTTP")


def _not_resolved(endpoint: AriEndpoint) -> SlaError:
    if (limit := lacks_files()) is not None:
        return limit
    return AriUnreachable(f"the host name {endpoint.host!r} of the ARI URL cannot be resolved; check its spelling")


def _silent(at: str) -> AriUnreachable:
    return AriUnreachable(f"nothing answered at {at} when connecting; a firewall in between, or a wrong address")


def _closed_unanswered(at: str, request: str) -> SlaError:
    if _is_intercepted():
        return UsageError(
            f"{request} did not leave this process: something in it answers in aiohttp's place (aioresponses, vcrpy); "
            f"let it pass what goes to {at} (aioresponses: passthrough=['http://{at}'])"
        )
    return AriUnreachable(
        f"{at} closed the connection without answering {request}; Asterisk stopped or crashed, "
        "or its HTTP sessions are used up (sessionlimit in http.conf, default 100)"
    )


def _is_intercepted() -> bool:
    """Whether aiohttp's requests are not its own: a mock takes over its name and module, but not its code."""
    code = getattr(aiohttp.ClientSession._request, "__code__", None)
    return code is None or code.co_filename != aiohttp.client.__file__


def _certificate_refused(reason: Exception, at: str) -> TlsFailed:
    words = getattr(reason, "verify_message", "") or str(reason)
    return TlsFailed(f"the TLS certificate of {at} is not trusted: {words}; name its CA with --ari-ca-file")


def _handshake_failed(reason: OSError, at: str) -> TlsFailed:
    # OpenSSL's names, older and newer, for an answer in plain text.
    if isinstance(reason, ssl.SSLError) and reason.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return TlsFailed(
            f"{at} does not speak TLS; use http:// in the ARI URL, or the port of tlsbindaddr in http.conf"
        )
    return TlsFailed(f"the TLS handshake with {at} failed: {reason.strerror or reason}")


def _not_connected(reason: OSError, at: str) -> SlaError:
    """Tell apart what this machine, what lies in between, and what Asterisk's host has refused."""
    if (limit := kept_from_connecting(reason, at)) is not None:
        return limit
    number = telling_errno(reason)
    if number in _NO_WAY:
        return AriUnreachable(f"{at} cannot be reached ({os.strerror(number)}); {_NO_WAY[number]}")
    refused = number == errno.ECONNREFUSED
    known = os.strerror(number) if number else reason.strerror or str(reason)
    words = "refused the connection" if refused else f"cannot be reached ({known})"
    return AriUnreachable(
        f"{at} {words}; "
        "is Asterisk running, and does http.conf have enabled=yes and this bindaddr and bindport (default 8088)?",
        refused=refused,
    )


def not_ari(endpoint: AriEndpoint, problem: str) -> NotAnAsterisk:
    """Return the error for an answer that ARI would not give."""
    return NotAnAsterisk(f"something answers at {endpoint.base_url}, but not ARI: {problem}; {_HOW_TO_ENABLE}")


def damaged(endpoint: AriEndpoint, request: str, problem: str) -> AnswerDamaged:
    """Return the error for an answer that ARI began well, or that follows good ones."""
    return AnswerDamaged(
        f"the answer to {request} from {where(endpoint)} {problem}; a proxy in between, or Asterisk stopped meanwhile"
    )


def redirected(endpoint: AriEndpoint, request: str, status: int, location: str) -> NotAnAsterisk:
    """Return the error for an answer that sends us elsewhere; the sentence has the URL to give instead."""
    try:
        parts = urlsplit(urljoin(endpoint.base_url + request.partition(" ")[2], location)) if location else None
    except ValueError:  # a bracket without its pair
        parts = None
    host = (parts.netloc if parts else "").rpartition("@")[2]  # without the credentials that a Location may hold
    if parts is None or not host or parts.scheme not in ("http", "https"):
        advice = "it does not say to which URL"
    elif "/ari" not in parts.path:
        advice = f"it leads to {parts.scheme}://{host}{parts.path}, which is not an ARI; give Asterisk's own address"
    else:
        advice = f"give --ari-url {parts.scheme}://{host}{parts.path.rpartition('/ari')[0]}/ari"
    return NotAnAsterisk(
        f"something answers at {endpoint.base_url}, but not ARI: {request} is redirected ({status}); {advice}"
    )


def error_of_answer(
    endpoint: AriEndpoint, method: str, path: str, status: int, body: bytes, *, is_ari: bool = False
) -> SlaError:
    """Return our error for an answer with an error status; ``is_ari``: it is known that ARI is there."""
    said = _message(body)
    # 403 is also the answer where sorcery.conf lets nobody write a configuration: "Cannot create sorcery objects …".
    if status == 401 or (status == 403 and "sorcery" not in (said or "")):
        return AriAuthenticationFailed(
            f"ARI at {where(endpoint)} refused {method} {path} for user {endpoint.user!r} ({status}); "
            "check --ari-user and --ari-password-file against ari.conf (a user with read_only=yes can change nothing)"
        )
    if status == 404 and said is None and not is_ari:
        return not_ari(endpoint, f"{method} {path} answered 404 without ARI's own message")
    if status == 503:
        said = f"{said or 'Service Unavailable'}; Asterisk is still starting, shutting down or overloaded"
    return AriRequestFailed(method, path, status, said if said is not None else _beginning(body))


def _message(body: bytes) -> str | None:
    """Return ARI's own words; None where the body is not ARI's."""
    try:
        return msgspec.json.decode(body, type=_ErrorBody).text
    except UNREADABLE:
        return None


class _ErrorBody(msgspec.Struct):
    """ARI's answer to what it refuses: ``message``, in some places ``error``."""

    message: str = ""
    error: str = ""

    @property
    def text(self) -> str:
        return self.message or self.error


def _beginning(body: bytes) -> str:
    return " ".join(body.decode("utf-8", "replace").split())[:200] or "no reason given"
