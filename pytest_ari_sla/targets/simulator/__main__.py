"""Run the simulator: ``python -m pytest_ari_sla.targets.simulator``."""

from __future__ import annotations

import sys

from pytest_ari_sla.targets.simulator.program import main

if __name__ == "__main__":
    sys.exit(main())
