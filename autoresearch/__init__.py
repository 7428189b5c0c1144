"""Autonomous research on your own code. The code lives in `state`, `engine`, `tui` and `targets`; this is their import name."""

from __future__ import annotations

__version__ = "0.1.0"
