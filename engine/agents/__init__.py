"""What makes proposals. An agent edits files in the *propose* tree and says why; it measures and judges nothing.

`tuner` needs no key and no network, `replay` tries prepared patches or a git range, `claude` and `command` are language
models. A name becomes an agent in `by_name`; they share `protocol` and do not know one another.
"""

from autoresearch.engine.agents.by_name import create, login_files
from autoresearch.engine.agents.claude.shell import Shell
from autoresearch.engine.agents.command.presets import PRESETS, Preset, misnamed, preset_of
from autoresearch.engine.agents.credentials import KEY_FILE, find_key
from autoresearch.engine.agents.protocol import (
    Added,
    Agent,
    Blocked,
    Exhausted,
    Learner,
    Proposal,
    Reporter,
    Unavailable,
    Wanted,
)
