"""Words from outside, made harmless, and numbers as people read them.

How numbers read is `text.numbers`, a module to be imported whole.
"""

from autoresearch.state.text.text import clean, clean_line, listed, plain, safe_line, storable
