"""``python -m pytest_ari_sla`` is the command ``ari-sla``."""

import sys

from pytest_ari_sla.cli import main

sys.exit(main())
