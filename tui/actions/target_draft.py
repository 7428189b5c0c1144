"""The draft of an autoresearch.toml: the questions, what may answer them, and the text with its comments.

`init` asks them one by one, the setup screen shows them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoresearch.engine.git import Git, GitError
from autoresearch.engine.measure import examples
from autoresearch.engine.workspace import head_of
from autoresearch.state.config import RULES, Config, Unfit, from_dict, name_of, render_minimal
from autoresearch.state.session import CONFIG_FILE, SessionError, find_place

Values = dict[str, Any]
"""Config values by dotted key."""

QUESTIONS = {
    "measure.run": "Which command is measured?",
    "metric.name": "Which metric does it print?",
    "metric.direction": "Is lower or higher better?",
    "scope.edit": "Which files may experiments change? (globs, separated by spaces)",
    "guard": "Which command must pass before a gain counts?",
    "agent.kind": "What makes the proposals? (auto, claude, command, tuner or replay)",
    "limits.dollars": "At how many dollars does it pause? (0: no limit)",
}
_CHOICES = {
    "metric.direction": ("lower", "higher"),
    "agent.kind": ("auto", "claude", "command", "tuner", "replay"),
}
_COMMENTS = {
    "metric.direction": "more is better",
    "scope.edit": "all that an experiment may change",
    "scope.link": "untracked, shown in the measured tree",
    "measure.run": "prints " + " or ".join(f'"{line}"' for line in examples("{metric}")),
    "measure.evaluate": "protected, prints the metric; see measure.artifacts for what it may read",
    "measure.progress": "live curves from the output",
    "guard": "must pass before a better metric counts",
    "constraints": "limits on other metrics; 1.2x: of the baseline's mean",
}


def value_of(key: str, answer: str) -> Any:
    """The key's value for a typed answer. Raises ValueError with what was expected."""
    answer = answer.strip()
    if key in _CHOICES:
        if answer not in _CHOICES[key]:
            words = _CHOICES[key]
            raise ValueError(f"{', '.join(words[:-1])} or {words[-1]}, please")
        return answer
    if key == "guard":
        return [{"run": answer}] if answer else []
    value: Any = answer
    if key == "scope.edit":
        value = answer.split()
    elif key == "limits.dollars":
        try:
            value = float(answer)
        except ValueError:
            raise ValueError("a number of dollars, please") from None
    try:
        expected = RULES[key](tuple(value) if isinstance(value, list) else value)
    except Unfit as unfit:
        expected = unfit.expected
    if expected is not None:
        raise ValueError(f"expected {expected}")
    return value


def config_of(folder: Path, values: Values) -> Config:
    """The validated config. Raises ConfigError with all problems at once."""
    data: Values = {"name": name_of(folder)}
    for key, value in values.items():
        *tables, leaf = key.split(".")
        place = data
        for table in tables:
            place = place.setdefault(table, {})
        place[leaf] = value
    return from_dict(data, CONFIG_FILE)


def text_of(config: Config) -> str:
    """The file, with a comment where one helps; only what differs from the defaults."""
    comments = {key: text.format(metric=config.metric.name) for key, text in _COMMENTS.items()}
    if config.measure.evaluate or config.measure.metrics_file:
        comments["measure.run"] = "the measured command"
    return render_minimal(config, comments).rstrip("\n") + "\n"


def files_in(folder: Path, git: Git | None = None) -> list[str]:
    """What git tracks below the folder or, being untracked and not ignored, would."""
    if git is None:
        place = find_place(folder)
        git = Git(place.git_dir, place.top)
    try:
        listed = git("-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except GitError as error:
        raise SessionError(f"git failed: {error.stderr}") from None
    return [path for path in listed.split("\0") if path]


def names_in(folder: Path, git: Git | None = None) -> set[str]:
    """The same, the folder's own entries alone."""
    return {path.split("/", 1)[0] for path in files_in(folder, git)}


def has_commit(folder: Path) -> bool:
    try:
        head_of(find_place(folder))
    except SessionError:
        return False
    return True
