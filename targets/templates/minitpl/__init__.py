"""minitpl: a small template engine.

    env = Environment({"hello": "Hello {{ name|title }}!"})
    env.render("hello", {"name": "ada"})

Text is copied. `{{ expression }}` prints a value, HTML-escaped unless it went through `safe`; None prints nothing.
`{% if %} {% elif %} {% else %} {% endif %}`, `{% for x in xs %} {% else %} {% endfor %}`, `{% set x = … %}` and
`{% include "name" %}` are the statements, `{# … #}` is a comment. A newline right after a statement or a comment is
dropped. What a loop's body or an included template sets is gone after it. A tag ends at its first closing
delimiter, even inside a string. Mistakes raise `TemplateError`.
"""

from __future__ import annotations

from .environment import Environment
from .errors import TemplateError
from .filters import Safe

__all__ = ["Environment", "Safe", "TemplateError"]
