"""What a command may touch and what it finds in its environment, as far as this kernel can hold it.

Knows no agent: where their logins lie is handed in.
"""

from autoresearch.engine.sandbox.confinement import EVALUATORS, Confinement, Role, Rooted, agent_view, ground
from autoresearch.engine.sandbox.environment import SECRET, argv, base, for_run
from autoresearch.engine.sandbox.kernel import Kernel, landlock_abi, shield, this_kernel
from autoresearch.engine.sandbox.places import accelerators, beside, hidden_in, keys, sockets
from autoresearch.engine.sandbox.protection import NETWORK_WORDS, Network, level, network_hint, refuse_weak
from autoresearch.engine.sandbox.scratch import Scratch
from autoresearch.engine.sandbox.spawner import Spawner, View, from_json, to_json
