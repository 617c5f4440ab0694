"""An ARI server that behaves as Asterisk 22 does, without Asterisk: for demos, plug-in authors and our own tests.

What it answers is held to real Asterisks by ``tests/contract``. From the bottom up:

* ``faults``: what goes wrong on request;
* ``pbx/``: what exists, what happens later, and the rules of calls, bridges, playbacks and recordings, without I/O and
  without a clock; ``pbx.pbx`` joins them;
* ``api/``: ARI's operations on top of the rules, their description (api-docs), HTTP and WebSockets;
* ``media/``: RTP, in a process of its own;
* ``program``, ``process``: the command line, and the simulator as a target.
"""
