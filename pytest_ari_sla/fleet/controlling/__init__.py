"""The process that xdist calls the controller: how it holds a fleet together."""
