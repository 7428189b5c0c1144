"""What an agent is told: gathered from disk, rendered purely, under a budget."""

from autoresearch.engine.brief.asked import Brief, Mend
from autoresearch.engine.brief.document import render
from autoresearch.engine.brief.dossier import feedback_of, gather
from autoresearch.engine.brief.experiments import lesson_due
from autoresearch.engine.brief.quotes import quoted, said
