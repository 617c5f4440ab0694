"""How much a target carries: which step to try next, and what all steps together say; no I/O, no clock."""
