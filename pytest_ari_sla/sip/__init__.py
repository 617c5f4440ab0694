"""SIP as a caller speaks it: messages, dialogs and session descriptions, without sockets and clocks.

Needs the extra ``sip``: messages are read and written, and challenges answered, by aiosipua. Its own user agent is
not used: it neither retransmits requests nor acknowledges refusals, and forgets a call that it cancels, so that an
answer which crosses the CANCEL stays up.
"""
