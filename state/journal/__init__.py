"""`autoresearch.jsonl`: the lines, appended whole or not at all, and what they add up to.

The lines themselves are `journal.records`, a module to be imported whole.
"""

from autoresearch.state.journal.dead_ends import DeadEnd, Older, dead_ends_in, newest, unwritten, worked
from autoresearch.state.journal.folds import NOTHING_TAKEN
from autoresearch.state.journal.history import SCORE_MARKS, SCORE_NOTES, History
from autoresearch.state.journal.journal import Journal, JournalLost, Reader, read_line, read_objects
from autoresearch.state.journal.knobs import REPLAYED, knob_values, short_names
from autoresearch.state.journal.model import (
    FLAG_WORDS,
    LISTED,
    LISTS,
    WINDOW,
    Control,
    IdeaState,
    Open,
    Row,
    SampleRow,
    Spread,
    Text,
    Waiting,
    list_of,
)
from autoresearch.state.journal.repeats import Repeats
from autoresearch.state.journal.snapshot import folded
