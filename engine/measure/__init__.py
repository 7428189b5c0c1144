"""One sample: a commit is run in a slot, and its metrics are read."""

from autoresearch.engine.measure.devices import accelerator
from autoresearch.engine.measure.formats import MARKS, drafted_name, examples, file_example, named_values, writing
from autoresearch.engine.measure.gpu import gpus, library, who
from autoresearch.engine.measure.local import LocalSlot
from autoresearch.engine.measure.metrics import tail
from autoresearch.engine.measure.slot import SPOILED, Job
from autoresearch.engine.measure.stacks import Stacks, stacks_of
