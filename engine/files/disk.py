"""How much room a disk must keep."""

from __future__ import annotations

import os


def least_free_mb() -> float:
    """Less free disk than this ends a command and pauses the session; AUTORESEARCH_MIN_FREE_MB is for small disks."""
    return float(os.environ.get("AUTORESEARCH_MIN_FREE_MB", LEAST_FREE_MB))


LEAST_FREE_MB = 2000.0
