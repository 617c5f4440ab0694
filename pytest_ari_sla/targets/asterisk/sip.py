"""SIP of a private Asterisk: one endpoint for callers, with digest authentication, over UDP and TCP."""

from __future__ import annotations

__all__ = ["SIP_MODULES", "render_pjsip"]

SIP_MODULES = (
    *("res_pjsip", "res_pjsip_pubsub", "res_pjsip_session", "res_pjsip_sdp_rtp", "res_pjsip_nat", "res_pjsip_rfc3326"),
    *(
        "res_pjsip_endpoint_identifier_user",
        "res_pjsip_authenticator_digest",
        "res_pjsip_outbound_authenticator_digest",
    ),
    *("res_pjsip_caller_id", "res_pjsip_dtmf_info", "res_pjsip_dlg_options"),
    *("res_pjsip_header_funcs", "res_pjsip_registrar", "res_format_attr_opus", "chan_pjsip"),
)
"""In loading order."""

_CONTACTS = 1000


def render_pjsip(address: str, port: int, user: str, password: str) -> str:
    """Return the text of pjsip.conf.

    Parameters
    ----------
    address, port
        Where SIP is listened for, over UDP and TCP.
    user, password
        The one user, who is also the endpoint's name: calls come from it, and ``PJSIP/user`` calls its contacts.
    """
    host = f"[{address}]" if ":" in address else address
    transports = [
        _section(protocol, "transport", protocol=protocol, bind=f"{host}:{port}") for protocol in ("udp", "tcp")
    ]
    return "\n".join(
        [
            # By user only: an address tells nothing where all callers are on one machine.
            _section("global", "global", endpoint_identifier_order="username,auth_username"),
            *transports,
            _section(user, "auth", auth_type="userpass", username=user, password=password),
            # As many as callers: each registers under the same user.
            _section(user, "aor", max_contacts=_CONTACTS),
            _section(
                user,
                "endpoint",
                context="sip",
                aors=user,
                auth=user,
                disallow="all",
                allow="ulaw,alaw,g722,gsm,slin,slin16,opus",
                # So that media comes through Asterisk, which is what is measured.
                direct_media="no",
            ),
        ]
    )


def _section(name: str, kind: str, **values: object) -> str:
    return "\n".join([f"[{name}]", f"type = {kind}", *(f"{key} = {value}" for key, value in values.items()), ""])
