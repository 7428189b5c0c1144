"""Files that somebody else made: opened, copied and removed without following what they planted."""

from autoresearch.engine.files.regular import (
    LEAST_FREE_MB,
    NotTaken,
    copy,
    least_free_mb,
    open_regular,
    printable,
    remove_regular,
    tail,
)
from autoresearch.engine.files.removal import clear_way, remove, remove_below, strip
