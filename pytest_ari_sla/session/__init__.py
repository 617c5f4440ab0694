"""One pytest session: its target, its plug-ins, its loads, and its report."""
