"""Trees, scope, candidate commits and refs: what is tried, kept and undone without touching the user's own."""

from autoresearch.engine.workspace.checkout import Checkout
from autoresearch.engine.workspace.linked import Inputs, Linked, fingerprint
from autoresearch.engine.workspace.new_files import NewFiles
from autoresearch.engine.workspace.places import machine_name, trees_folder, trees_root
from autoresearch.engine.workspace.promised import fetch_promised, promised
from autoresearch.engine.workspace.reading import commits_named, diff_of
from autoresearch.engine.workspace.repository import (
    branch_holder,
    check_git,
    head_of,
    identity_of,
    refuse_held_branch,
    tracked_hash,
    uncommitted,
)
from autoresearch.engine.workspace.saved_state import SAVED, SavedState, restore_state, saved_sessions, take_over_states
from autoresearch.engine.workspace.scope import FIXED, Scope
from autoresearch.engine.workspace.submodules import Submodule, submodules_of
from autoresearch.engine.workspace.tree import Tree
from autoresearch.engine.workspace.unseen import why_unseen
from autoresearch.engine.workspace.workspace import Taken, Workspace, words_of
