"""What a command may touch and what it finds in its environment, as far as this kernel can hold it.

Knows no agent: where their logins lie is handed in.
"""

from autoresearch.engine.sandbox.accelerator import open_accelerator
from autoresearch.engine.sandbox.confinement import EVALUATORS, Confinement, Ground, Role, agent_view
from autoresearch.engine.sandbox.environment import SECRET, argv_of, clean_environment, run_variables
from autoresearch.engine.sandbox.kernel import Kernel, landlock_abi, shield_process, this_kernel
from autoresearch.engine.sandbox.layers import Copied, Layer, Layers, Overlaid, Stack, make_above, snapshot
from autoresearch.engine.sandbox.offline import NoNetwork, network_hint, no_network
from autoresearch.engine.sandbox.opened import Unknown, opened, watched
from autoresearch.engine.sandbox.places import (
    accelerator_devices,
    all_beside,
    hidden_paths,
    holds_keys,
    key_places,
    socket_places,
)
from autoresearch.engine.sandbox.protection import Network, level, refuse_weak
from autoresearch.engine.sandbox.scratch import Scratch
from autoresearch.engine.sandbox.spawner import Spawner, View, view_from_json, view_to_json
