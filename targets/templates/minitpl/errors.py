from __future__ import annotations


class TemplateError(Exception):
    """A mistake in a template or in the data given to it."""
