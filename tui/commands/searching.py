"""What `autoresearch search` finds, through the index, which brings itself up to date first."""

from __future__ import annotations
