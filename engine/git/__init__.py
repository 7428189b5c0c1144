"""Git as we call it: no repository is ever looked for, no configuration of the user's is obeyed."""

from autoresearch.engine.git.git import (
    OUR_EMAIL,
    OUR_NAME,
    SETTINGS,
    Git,
    GitError,
    Refs,
    alternate,
    clean_environment,
    fixed_range,
)
from autoresearch.engine.git.index import GITLINK, SYMLINK, Entry, UnreadableIndex, read_index
from autoresearch.engine.git.objects import Objects
from autoresearch.engine.git.remote import INCOMING, Remote
