"""An ARI server that behaves as Asterisk 22 does, without Asterisk: for demos, plug-in authors and our own tests.

What it answers is held to real Asterisks by ``tests/contract``. From the bottom up:

* ``reply``, ``resources``, ``agenda``, ``causes``, ``prompts``: what is answered, what exists, what happens later, why
  channels end, what is heard;
* ``world``: all state at one moment, and who is told of its changes;
* ``calls``, ``dialplan``, ``bridging``, ``playing``, ``recording``: the rules, without I/O and without a clock; all of
  them joined in ``pbx``;
* ``route`` and ``routes_*``: ARI's operations on top of the rules; ``description``, ``models``: the same as api-docs;
* ``media*``: RTP, in a process of its own;
* ``faults``: what goes wrong on request;
* ``server``, ``event_socket``, ``program``, ``process``: HTTP and WebSockets, the command line, and the simulator as a
  target.
"""
