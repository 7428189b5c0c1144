"""A config file that is good, and what is told of one that is not."""

from __future__ import annotations

import pytest

from autoresearch.state.config import ConfigError, loads

MINIMAL = """\
[metric]
name = "val_bpb"
[scope]
edit = ["train.py"]
[measure]
run = "python train.py"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, name="x")
    assert str(caught.value) == "\n".join(f"config.toml: {problem}" for problem in caught.value.problems)
    return caught.value.problems


def problem(line: str, table: str = "") -> str:
    """The only problem that one more line makes in a file that is good without it."""
    text = MINIMAL.replace(f"[{table}]\n", f"[{table}]\n{line}\n") if f"[{table}]" in MINIMAL else ""
    (found,) = problems(text or (f"{MINIMAL}[{table}]\n{line}\n" if table else f"{line}\n{MINIMAL}"))
    return found
