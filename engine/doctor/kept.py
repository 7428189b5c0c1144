"""Samples of a dry run, kept for the session that starts soon after it: they count as its baseline's.

They are taken over only when everything that decides a number is the same: commit, measuring config, protected files,
host, accelerator, protection. A commit that differs in nothing but the target's autoresearch.toml is the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from autoresearch.engine.git import Git
from autoresearch.state.files import write_atomic
from autoresearch.state.journal import records
from autoresearch.state.journal.records import Header, Sample, now_ms
from autoresearch.state.session import CONFIG_FILE, Place
from autoresearch.state.text import numbers

VALID_H = 3.0
"""Older samples say too little about how warm and how busy the machine is now."""
_KEYS = ("config_sha", "evaluator_sha", "linked_sha", "host", "accelerator", "protection")


def kept_file(place: Place) -> Path:
    return place.sessions_dir / "dryrun.json"


def keep(place: Place, header: Header, samples: Sequence[Sample]) -> None:
    """Put the samples of `header.base` aside, in place of what an earlier dry run of the target had left."""
    place.sessions_dir.mkdir(mode=0o700, exist_ok=True)
    targets = _read(place)
    targets[place.prefix] = {
        "sha": header.base,
        **{key: getattr(header, key) for key in _KEYS},
        "timestamp": now_ms(),
        "samples": [orjson.loads(records.encode(sample)) for sample in samples],
    }
    write_atomic(kept_file(place), orjson.dumps({"v": 1, "targets": targets}))


def forget(place: Place) -> None:
    """Nothing of an earlier dry run of this target is taken over any more."""
    targets = _read(place)
    if targets.pop(place.prefix, None) is not None:
        write_atomic(kept_file(place), orjson.dumps({"v": 1, "targets": targets}))


def at_hand(place: Place, header: Header | None) -> list[Sample]:
    """The samples that the segment of `header` may take over; [] when anything differs or cannot be read."""
    entry = _read(place).get(place.prefix)
    if header is None or not isinstance(entry, dict):
        return []
    age_ms = now_ms() - (numbers.finite(entry.get("timestamp")) or 0)
    if not 0 <= age_ms <= VALID_H * 3600_000 or any(entry.get(key) != getattr(header, key) for key in _KEYS):
        return []
    if not _same_commit(place, str(entry.get("sha")), header.base):
        return []
    return _samples(entry.get("samples"))


def _samples(listed: Any) -> list[Sample]:
    """Good samples of one commit, numbered from 1 without a gap; [] for anything else."""
    try:
        found = [record for record in map(records.from_json, listed) if isinstance(record, Sample)]
    except (records.MalformedRecord, AttributeError, TypeError):
        return []
    numbered = [sample.k for sample in found] == list(range(1, len(listed) + 1))
    good = all(each.cause is None and each.metric is not None and each.arm == "candidate" for each in found)
    return found if numbered and good else []


def _same_commit(place: Place, kept: str, base: str) -> bool:
    if kept == base:
        return True
    code, out, _ = Git(place.common_dir).attempt("diff-tree", "-r", "-z", "--name-only", "--end-of-options", kept, base)
    changed = {name for name in out.decode("utf-8", "replace").split("\0") if name}
    return code == 0 and changed <= {f"{place.below}{CONFIG_FILE}"}


def _read(place: Place) -> dict[str, Any]:
    """Entries by the target's folder."""
    try:
        data = orjson.loads(kept_file(place).read_bytes())
        targets = data["targets"] if data["v"] == 1 else {}
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return {}
    return dict(targets) if isinstance(targets, dict) else {}
