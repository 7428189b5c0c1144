"""Where the next candidate comes from: people, bundles, the queue, the agent."""

from autoresearch.engine.proposals.queue import Proposals
from autoresearch.engine.proposals.researcher import Researcher
