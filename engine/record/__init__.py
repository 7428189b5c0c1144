"""Journal, notebook and live.json in one hand, and the plan that makes them agree again after a kill."""

from autoresearch.engine.record.notebook import Notebook
from autoresearch.engine.record.recorder import Observe, OnLive, Recorder
from autoresearch.engine.record.recovery import Adopt, Diverged, MoveBranch, SetAside, plan, recover
