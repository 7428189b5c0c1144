from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engine.agents import Exhausted, Proposal
from autoresearch.engine.agents.tuner.agent import Tuner
from autoresearch.engine.brief import Brief
from autoresearch.state.config import Config, Measure, Metric, Scope
from autoresearch.state.journal import History, records

SOURCE = b"""\
LEARNING_RATE = 3e-5
MOMENTUM = 0.5
BATCH_SIZE = 512
BETAS = (0.9, 0.999)
OPTIMIZER = "sgd"  # one of: sgd, adam, muon


class Model:
    depth: int = 2
"""
FILE = "train.py"


def values_in(tree: Path) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec((tree / FILE).read_bytes(), scope)
    return {**{k: v for k, v in scope.items() if k.isupper()}, "depth": scope["Model"].depth}


def loss(v: dict[str, Any]) -> float:
    """Smooth, with its best far from where the file begins (start: about 8.7)."""
    return (
        1.0
        + 0.5 * math.log10(v["LEARNING_RATE"] / 2e-3) ** 2
        + 4.0 * (v["MOMENTUM"] - 0.9) ** 2
        + 0.3 * math.log2(v["BATCH_SIZE"] / 64) ** 2
        + 30 * (v["BETAS"][1] - 0.99) ** 2
        + 0.2 * math.log2(v["depth"] / 8) ** 2
        + {"sgd": 0.7, "adam": 0.0, "muon": 0.1}[v["OPTIMIZER"]]
    )


def config(edit: tuple[str, ...] = ("*.py",), direction: Any = "lower") -> Config:
    return Config(name="t", metric=Metric("loss", direction), scope=Scope(edit), measure=Measure(run="true"))


class Session:
    """A loop in miniature: it keeps what is better and writes the journal's real lines."""

    def __init__(self, tree: Path, source: bytes = SOURCE, sign: float = 1.0) -> None:
        self.tree = tree
        self.sign = sign
        self.journal: list[bytes] = []
        self.history = History()
        self.config = config(direction="lower" if sign > 0 else "higher")
        self.sources: dict[str, bytes] = {"0" * 40: source}
        self.measured: list[dict[str, Any]] = []
        (tree / FILE).write_bytes(source)
        self.write(records.Header(direction=self.config.metric.direction, base="0" * 40))

    def write(self, record: records.Record) -> None:
        line = records.encode(record)
        self.history.feed(sum(map(len, self.journal)), line.rstrip(b"\n"))
        self.journal.append(line)

    def rebuilt(self) -> History:
        history, at = History(), 0
        for line in self.journal:
            history.feed(at, line.rstrip(b"\n"))
            at += len(line)
        assert not history.problems
        return history

    @property
    def best(self) -> str:
        return self.history.incumbent.sha if self.history.incumbent else "0" * 40

    def baseline(self) -> None:
        self.measure(None, "0" * 40)

    def brief(self, history: History | None = None) -> Brief:
        history = history or self.history
        (self.tree / FILE).write_bytes(self.sources[self.best])
        return Brief(number=history.next_proposal, incumbent=self.best, config=self.config, history=history)

    async def proposed(self, tuner: Tuner) -> tuple[Proposal, int]:
        """Ask, and record the proposal as waiting."""
        brief = self.brief()
        words = await tuner.propose(brief, self.tree)
        sha = f"{brief.number:040x}"
        self.sources[sha] = (self.tree / FILE).read_bytes()
        line = records.Proposal(
            id=brief.number, base=self.best, sha=sha, agent="tuner", description=words.description, params=words.params
        )
        self.write(line)
        return words, brief.number

    def measure(self, proposal: int | None, sha: str, crash: bool = False, force: str = "") -> None:
        number = self.history.next_number()
        parent = self.best
        self.write(records.Intent(experiment=number, proposal=proposal, parent=parent, sha=sha))
        (self.tree / FILE).write_bytes(self.sources[sha])
        values = values_in(self.tree)
        self.measured.append(values)
        metric = self.sign * loss(values)
        before = self.history.incumbent.metric if self.history.incumbent else None
        better = before is None or self.sign * metric < self.sign * before
        status: Any = force or ("crash" if crash else "keep" if better else "discard")
        cause = (
            "nonzero_exit" if crash else "baseline" if proposal is None else "better" if status == "keep" else "worse"
        )
        if not crash:
            self.write(records.Sample(experiment=number, sha=sha, arm="candidate", k=1, seed=1, metric=metric))
        self.write(
            records.Experiment(
                run=number, commit=sha[:7], sha=sha, parent=parent, metric=0.0 if crash else metric, status=status,
                cause=cause, proposal=proposal,
            )
        )  # fmt: skip

    async def experiment(self, tuner: Tuner, **how: Any) -> Proposal:
        words, number = await self.proposed(tuner)
        self.measure(number, f"{number:040x}", **how)
        return words


def key(values: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(values.items()))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("sign", [1.0, -1.0])
async def test_forty_proposals_find_a_clearly_better_setting_and_repeat_none(
    tmp_path: Path, seed: int, sign: float
) -> None:
    session = Session(tmp_path, sign=sign)
    session.baseline()
    tuner = Tuner(seed)
    for _ in range(40):
        await session.experiment(tuner)
    assert session.history.incumbent is not None
    assert session.history.incumbent.metric is not None
    start = loss(session.measured[0]) - 1.0
    left = sign * session.history.incumbent.metric - 1.0
    assert left < 0.1 * start, [words.description for words in session.history.rows]
    seen = [key(values) for values in session.measured]
    assert len(set(seen)) == len(seen)


async def test_each_proposal_changes_its_knobs_and_nothing_else(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.baseline()
    tuner = Tuner()
    for _ in range(15):
        (tmp_path / FILE).write_bytes(session.sources[session.best])
        before = values_in(tmp_path)
        words = await session.experiment(tuner)
        after = session.measured[-1]
        names = {"depth": "Model.depth"}
        changed = {
            f"{FILE}:{names.get(name, name)}": {"from": _json(before[name]), "to": _json(after[name])}
            for name in before
            if before[name] != after[name]
        }
        assert words.params == changed
        assert words.hypothesis.endswith(".")
        for name in changed:
            assert f"{name.partition(':')[2].rpartition('.')[2]} " in words.description


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


async def test_the_first_looks_are_one_knob_at_a_time_in_both_directions(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.baseline()
    tuner = Tuner()
    first = [await session.experiment(tuner, force="discard") for _ in range(7)]
    assert all(len(words.params) == 1 for words in first)
    assert {name.partition(":")[2] for words in first for name in words.params} == {
        "LEARNING_RATE", "MOMENTUM", "BATCH_SIZE", "BETAS", "OPTIMIZER", "Model.depth"
    }  # fmt: skip
    assert any("LEARNING_RATE 3e-5 → " in words.description for words in first)


async def test_a_kept_step_is_followed_further_the_same_way(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.baseline()
    tuner = Tuner()
    while True:
        words = await session.experiment(tuner, force="discard")
        if "LEARNING_RATE" in words.description:
            break
    session = Session(tmp_path)
    session.baseline()
    while True:
        words, number = await session.proposed(tuner)
        kept = "LEARNING_RATE" in words.description
        session.measure(number, f"{number:040x}", force="keep" if kept else "discard")
        if kept:
            break
    (step,) = words.params.values()
    follow, _ = await session.proposed(tuner)
    (further,) = follow.params.values()
    assert list(follow.params) == list(words.params)
    assert further["from"] == step["to"]
    assert (further["to"] > further["from"]) == (step["to"] > step["from"])


async def test_a_resumed_session_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.baseline()
    tuner = Tuner()
    for step in range(30):
        before = session.brief()
        fresh = await Tuner().propose(session.brief(session.rebuilt()), tmp_path)
        resumed = (tmp_path / FILE).read_bytes()
        words = await tuner.propose(before, _restored(session))
        assert words == fresh
        assert (tmp_path / FILE).read_bytes() == resumed
        _restored(session)
        await session.experiment(Tuner() if step % 2 else tuner, crash=step % 7 == 3)
    seen = [key(values) for values in session.measured]
    assert len(set(seen)) == len(seen)


def _restored(session: Session) -> Path:
    (session.tree / FILE).write_bytes(session.sources[session.best])
    return session.tree


async def test_waiting_and_open_proposals_are_not_made_again(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.baseline()
    tuner = Tuner()
    descriptions = [(await session.proposed(tuner))[0].description for _ in range(12)]
    assert len(set(descriptions)) == 12
    waiting = min(session.history.waiting)
    session.write(
        records.Intent(experiment=2, proposal=waiting, parent=session.best, sha=session.history.waiting[waiting].sha)
    )
    assert (await session.proposed(tuner))[0].description not in descriptions


async def test_the_value_the_session_began_with_is_not_proposed_again(tmp_path: Path) -> None:
    session = Session(tmp_path, b"FLAG = False\n")
    session.measured = []
    session.sources["0" * 40] = b"FLAG = False\n"
    session.write(records.Intent(experiment=1, proposal=None, parent="0" * 40, sha="0" * 40))
    session.write(_line(1, "0" * 40, "0" * 40, None, "keep", "baseline"))
    words, number = await session.proposed(Tuner())
    assert words.params == {"train.py:FLAG": {"from": False, "to": True}}
    sha = f"{number:040x}"
    session.write(records.Intent(experiment=2, proposal=number, parent="0" * 40, sha=sha))
    session.write(_line(2, sha, "0" * 40, number, "keep", "better"))
    with pytest.raises(Exhausted, match=r"no untried value left .1 literal.\.$"):
        await session.proposed(Tuner())


def _line(number: int, sha: str, parent: str, proposal: int | None, status: Any, cause: str) -> records.Experiment:
    return records.Experiment(
        run=number, commit=sha[:7], sha=sha, parent=parent, metric=1.0, status=status, cause=cause, proposal=proposal
    )


async def test_small_spaces_are_tried_to_the_end_and_no_further(tmp_path: Path) -> None:
    session = Session(tmp_path, b'A = False\nB = 1  # one of: 1, 2, 3\nC = "x"  # one of: x, y\n')
    descriptions = [(await session.proposed(Tuner()))[0].description for _ in range(2 * 3 * 2 - 1)]
    assert len(set(descriptions)) == len(descriptions)
    with pytest.raises(Exhausted, match=r"The tuner has no untried value left \(\d+ literals?\)"):
        await session.proposed(Tuner())


async def test_after_a_change_by_another_agent_old_values_may_be_measured_again(tmp_path: Path) -> None:
    """What was measured on other code says nothing final about this code."""
    session = Session(tmp_path, b"FLAG = False\n")
    session.write(records.Intent(experiment=1, proposal=None, parent="0" * 40, sha="0" * 40))
    session.write(_line(1, "0" * 40, "0" * 40, None, "keep", "baseline"))
    words, number = await session.proposed(Tuner())
    sha = f"{number:040x}"
    session.write(records.Intent(experiment=2, proposal=number, parent="0" * 40, sha=sha))
    session.write(_line(2, sha, "0" * 40, number, "discard", "worse"))
    with pytest.raises(Exhausted):
        await session.proposed(Tuner())
    session.write(records.Proposal(id=2, base="0" * 40, sha="f" * 40, agent="claude"))
    session.write(records.Intent(experiment=3, proposal=2, parent="0" * 40, sha="f" * 40))
    session.write(_line(3, "f" * 40, "0" * 40, 2, "keep", "better"))
    session.sources["f" * 40] = b"FLAG = False\nimport os\n"
    assert (await session.proposed(Tuner()))[0].description == words.description


async def test_only_files_in_scope_are_read_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "real.py").write_text("LINKED = 3\n")
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    (tree / "src" / "a.py").write_text("INNER = 3\n")
    (tree / "b.py").write_text("OUTER = 3\n")
    (tree / "src" / "link.py").symlink_to(outside / "real.py")
    (tree / "src" / "folder").symlink_to(outside)
    (tree / "src" / "bad.py").write_bytes(b"# coding: latin-1\nX = 3\n")
    brief = Brief(number=1, incumbent="0" * 40, config=config(("src/**", "b.txt")), history=History())
    words = await Tuner().propose(brief, tree)
    assert list(words.params) == ["src/a.py:INNER"]
    assert (outside / "real.py").read_text() == "LINKED = 3\n"


@pytest.mark.parametrize(
    ("source", "said"), [(b"x = f()\n", "nothing to tune in train.py"), (b"X = 3\xff\n", "train.py: it")]
)
async def test_with_nothing_to_tune_it_says_what_a_literal_looks_like(tmp_path: Path, source: bytes, said: str) -> None:
    (tmp_path / FILE).write_bytes(source)
    brief = Brief(number=1, incumbent="0" * 40, config=config(), history=History())
    with pytest.raises(Exhausted, match=said):
        await Tuner().propose(brief, tmp_path)


def test_optuna_is_imported_only_when_it_is_needed() -> None:
    code = "import sys, autoresearch.engine.agents.tuner; print({'optuna', 'numpy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
