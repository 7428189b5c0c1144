"""`autoresearch.md`: drawn from the journal, and read back when a person has written in it."""

from autoresearch.state.notebook.three_way import Edit, load, merge, save, weave
from autoresearch.state.notebook.view import Entries, Entry, Fold, Idea, View, render
