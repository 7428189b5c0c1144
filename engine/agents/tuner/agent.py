"""An agent without a language model: it tunes the literals of the in-scope Python files.

First every knob is tried alone, one bold step in each direction, and a step that is kept is followed further the same
way. Then Optuna's TPE proposes one to three knobs together, having learned from every verdict. The agent has no state
of its own: each proposal is a function of the seed, the journal and the incumbent's source, so a resumed session goes
on as if nothing had happened, and nothing is measured twice on the same code.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import math
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.agents.protocol import Exhausted, Proposal, Wanted
from autoresearch.engine.agents.tuner import literals
from autoresearch.engine.agents.tuner import names as naming
from autoresearch.engine.agents.tuner.literals import Knob, Scalar, Value
from autoresearch.engine.agents.tuner.space import Space, space_of, way_of
from autoresearch.engine.agents.tuner.trials import Difference, Memory, Past, Trial, elements, key_of, params_of, single
from autoresearch.engine.brief import Brief
from autoresearch.engine.workspace import Scope
from autoresearch.state.text import listed, numbers

_MOST_BYTES = 1_000_000
_ENOUGH = 5
_ASKS = 12
_RANDOM_TRIES = 300
_WHOLE_GRID = 4096
_JOINT = (1, 2, 2, 3)
"""How many numbers TPE changes together, drawn from these."""


@dataclass(frozen=True, slots=True)
class Dial:
    """One number, boolean or choice to turn: a knob, or one element of a knob that is a tuple."""

    name: str
    knob: Knob
    index: int | None
    space: Space


@dataclass(frozen=True, slots=True)
class Idea:
    turns: dict[Dial, Scalar]
    why: str


class Tuner:
    name = "tuner"
    reads = False

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._memory = Memory()
        self._parsed: dict[str, tuple[bytes, list[Knob]]] = {}

    @classmethod
    def made(cls, wanted: Wanted) -> Tuner:
        return cls()

    async def propose(self, brief: Brief, tree: Path) -> Proposal:
        sources, notes = self._read(tree, Scope(brief.config.scope.edit))
        knobs = [knob for _, found in sources.values() for knob in found]
        dials = [dial for knob in knobs for dial in _dials(knob)]
        if not dials:
            raise Exhausted(_nothing_to_tune(list(sources), notes))
        present: Difference = {knob.name: knob.value for knob in knobs}
        past = self._memory.past(brief.history, brief.incumbent, present)
        search = _Search(self._seed, brief.number, dials, past)
        if search.learns:
            # In a thread: the first import takes a third of a second, and the loop has a measurement to watch.
            await asyncio.to_thread(importlib.import_module, "optuna")
        for idea in search.ideas():
            values = _assembled(idea.turns)
            key = key_of(values, present)
            if not key or key in past.tried or key in past.coming:
                continue
            proposal = _worded(idea, values, knobs)
            if proposal.description not in brief.avoid:
                _write(tree, sources, [(knob, values[knob.name]) for knob in knobs if knob.name in values])
                return proposal
        raise Exhausted(f"The tuner has no untried value left ({numbers.plural(len(dials), 'literal')}).")

    def _read(self, tree: Path, scope: Scope) -> tuple[dict[str, tuple[bytes, list[Knob]]], list[str]]:
        """The in-scope Python files with their knobs, read afresh (the incumbent moves), and which were skipped."""
        found: dict[str, tuple[bytes, list[Knob]]] = {}
        notes: list[str] = []
        for file in _python_files(tree, scope):
            source = (tree / file).read_bytes()
            known = self._parsed.get(file)
            try:
                if len(source) > _MOST_BYTES:
                    raise literals.Unreadable("it is larger than 1 MB")
                knobs = known[1] if known and known[0] == source else literals.find(source, file)
            except literals.Unreadable as reason:
                notes.append(f"{file}: {reason}")
                continue
            found[file] = (source, knobs)
        self._parsed = found
        return found, notes


class _Search:
    """What to try next, the best idea first. Ideas may have been tried; the caller knows."""

    def __init__(self, seed: int, number: int, dials: list[Dial], past: Past) -> None:
        self._dials = dials
        self._past = past
        self._number = number
        self._order = random.Random(f"order {seed}")
        self._draw = random.Random(f"draw {seed} {number}")

    @property
    def learns(self) -> bool:
        """Whether there is enough to learn from for TPE to have a say."""
        return self._past.count >= _ENOUGH

    def ideas(self) -> Iterator[Idea]:
        yield from self._further()
        sweep = self._sweep()
        first = next(sweep, None)
        if first is None:
            if self.learns:
                yield from self._learned()
        else:
            rounds, idea = first
            # From the second round on TPE takes turns with the sweep: with many knobs that would take all night.
            if rounds and self.learns and self._number % 2:
                yield from self._learned()
            yield idea
            yield from (idea for _, idea in sweep)
            if self.learns:
                yield from self._learned()
        yield from self._remaining()

    def _further(self) -> Iterator[Idea]:
        """The step that made the incumbent, once more."""
        step = single(self._past.led_here)
        if step is None:
            return
        name, old, new = step
        for dial in self._dials:
            if dial.name == name and dial.space.value == new and dial.space.ordered:
                way = way_of(old, new)
                value = dial.space.steps().get(way)
                if value is not None:
                    yield Idea({dial: value}, f"Going from {old} to {new} was kept; the best may lie further that way.")

    def _sweep(self) -> Iterator[tuple[int, Idea]]:
        """(round, idea): each dial alone, a bold step in one direction, in the next round in another."""
        shuffled = self._order.sample(self._dials, len(self._dials))
        shuffled.sort(key=lambda dial: not naming.matters_most(dial.knob.label))
        ways = {dial: self._order.sample(steps, len(steps)) for dial in shuffled if (steps := _ways(dial))}
        for turn in range(max(map(len, ways.values()), default=0)):
            for dial in _interleaved(list(ways)):
                if turn < len(ways[dial]) and (dial.name, ways[dial][turn]) not in self._past.looked:
                    value = dial.space.steps().get(ways[dial][turn])
                    if value is not None:
                        yield turn, Idea({dial: value}, _first_look(dial, ways[dial][turn]))

    def _learned(self) -> Iterator[Idea]:
        """A few dials together, where TPE expects most."""
        count = min(len(self._dials), self._draw.choice(_JOINT))
        weights = self._weights()
        chosen: list[Dial] = []
        while len(chosen) < count:
            dial = self._draw.choices(self._dials, weights=[weights[dial.name] for dial in self._dials])[0]
            if dial not in chosen:
                chosen.append(dial)
        scored = sum(trial.score is not None for trial in self._past.trials)
        for turns in _asked(chosen, self._past, self._draw.getrandbits(32)):
            changed = {dial: value for dial, value in turns.items() if value != dial.space.value}
            if changed:
                names = _listed([_short_name(dial) for dial in changed])
                values = "this value" if len(changed) == 1 else "these values"
                yield Idea(
                    changed, f"What was learned from {scored} results makes {values} of {names} the most promising."
                )

    def _weights(self) -> dict[str, float]:
        """Dials whose changes did well are turned more often, those that only broke things less."""
        weights = {dial.name: 1.0 for dial in self._dials}
        scores = sorted(trial.score for trial in self._past.trials if trial.score is not None)
        if not scores:
            return weights
        good = scores[len(scores) // 4]
        for trial in self._past.trials:
            for name, _, _ in elements(trial.change):
                if name in weights:
                    weights[name] *= 0.8 if trial.score is None else 1.3 if trial.score <= good else 1.0
        return {name: min(4.0, max(0.25, weight)) for name, weight in weights.items()}

    def _remaining(self) -> Iterator[Idea]:
        """Anything on a coarse grid: one dial, a few at random, then all there is if that is not too much."""
        why = "This combination has not been tried yet."
        grids = {dial: list(dial.space.grid()) for dial in self._order.sample(self._dials, len(self._dials))}
        for dial, grid in grids.items():
            yield from (Idea({dial: value}, why) for value in grid)
        if math.prod(map(len, grids.values())) <= _WHOLE_GRID:
            for values in itertools.product(*grids.values()):
                yield Idea(dict(zip(grids, values, strict=True)), why)
        else:
            for _ in range(_RANDOM_TRIES):
                some = self._draw.sample(list(grids), min(3, len(grids)))
                yield Idea({dial: self._draw.choice(grids[dial]) for dial in some}, why)


# -- TPE


def _asked(dials: list[Dial], past: Past, seed: int) -> Iterator[dict[Dial, Scalar]]:
    """Optuna's suggestions for these dials, learned from the past; trials to come are kept away from."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space: dict[str, optuna.distributions.BaseDistribution] = {
        dial.name: optuna.distributions.FloatDistribution(0.0, 1.0)
        if dial.space.ordered
        else optuna.distributions.CategoricalDistribution(range(len(dial.space.options)))
        for dial in dials
    }
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_ENOUGH))
    scores = [trial.score for trial in past.trials if trial.score is not None]
    # A crash is as bad as the worst and half of what lies between worst and best.
    worst = max(scores, default=0.0) + 0.5 * (max(scores, default=1.0) - min(scores, default=0.0))
    for trial in past.trials:
        value = worst if trial.score is None else trial.score
        study.add_trial(optuna.create_trial(value=value, params=_places(dials, trial), distributions=space))
    for difference in past.pending:
        running = Trial(difference, {}, None)
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState.RUNNING, params=_places(dials, running), distributions=space
            )
        )
    for _ in range(_ASKS):
        places = study.ask(space).params
        yield {
            dial: dial.space.decode(places[dial.name]) if dial.space.ordered else dial.space.options[places[dial.name]]
            for dial in dials
        }


def _places(dials: list[Dial], trial: Trial) -> dict[str, float | int]:
    """Where a trial stands in the space of these dials."""
    places: dict[str, float | int] = {}
    for dial in dials:
        whole = trial.difference.get(dial.knob.name, dial.knob.value)
        value: Value | None = whole
        if dial.index is not None:
            value = whole[dial.index] if isinstance(whole, tuple) and dial.index < len(whole) else None
        if dial.space.ordered:
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
            places[dial.name] = dial.space.encode(value if fits else dial.space.value)  # type: ignore[arg-type]
        else:
            known = value if value in dial.space.options else dial.space.value
            places[dial.name] = dial.space.options.index(known)
    return places


# -- dials and words


def _dials(knob: Knob) -> Iterator[Dial]:
    for index, part in enumerate(knob.parts) if knob.parts else [(None, knob)]:
        space = space_of(part)
        if space is not None:
            yield Dial(part.name, knob, index, space)


def _ways(dial: Dial) -> list[str]:
    """Directions to look in; both, even at an end: the incumbent may move away from it."""
    if not dial.space.ordered:
        return [str(option) for option in dial.space.options]
    return ["higher", "lower"]


def _interleaved(dials: list[Dial]) -> list[Dial]:
    """One of each category in turn, so that the first experiments look everywhere."""
    seen: dict[str, int] = {}
    turns: list[tuple[int, int]] = []
    for place, dial in enumerate(dials):
        category = naming.category_of(dial.knob.label)
        seen[category] = seen.get(category, -1) + 1
        turns.append((seen[category], place))
    return [dials[place] for _, place in sorted(turns)]


def _assembled(turns: dict[Dial, Scalar]) -> dict[str, Value]:
    """The new values by knob; a knob that ends with the value it has is left out."""
    values: dict[str, Value] = {}
    present: dict[str, Value] = {}
    for dial, value in turns.items():
        present[dial.knob.name] = dial.knob.value
        if dial.index is None:
            values[dial.knob.name] = value
        else:
            whole = values.get(dial.knob.name, dial.knob.value)
            assert isinstance(whole, tuple)
            assert not isinstance(value, str)
            values[dial.knob.name] = (*whole[: dial.index], value, *whole[dial.index + 1 :])
    return {name: value for name, value in values.items() if value != present[name]}


def _worded(idea: Idea, values: dict[str, Value], knobs: list[Knob]) -> Proposal:
    changed = [knob for knob in knobs if knob.name in values]
    labels = [knob.label.rpartition(".")[2] for knob in knobs]
    parts = []
    for knob in changed:
        short = knob.label.rpartition(".")[2]
        name = short if labels.count(short) == 1 else knob.name
        parts.append(f"{name} {literals.shown(knob, knob.value)} → {literals.shown(knob, values[knob.name])}")
    categories = {naming.category_of(knob.label) for knob in changed} - {"other"}
    return Proposal(
        description=", ".join(parts),
        hypothesis=idea.why,
        category=categories.pop() if len(categories) == 1 else "several" if categories else "other",
        params=params_of({knob.name: (knob.value, values[knob.name]) for knob in changed}),
    )


def _first_look(dial: Dial, way: str) -> str:
    if dial.space.ordered:
        return f"{_short_name(dial)} has not been tried {way} yet; a bold step shows whether it matters."
    return f"{_short_name(dial)} has not been tried as {way} yet."


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _short_name(dial: Dial) -> str:
    return dial.name.partition(":")[2].rpartition(".")[2]


# -- files


def _python_files(tree: Path, scope: Scope) -> Iterator[str]:
    """In-scope regular Python files, by name. Links are not followed: what they lead to is not the target's."""
    for folder, names, files in os.walk(tree):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for file in sorted(files):
            path = Path(folder, file)
            relative = path.relative_to(tree).as_posix()
            if file.endswith(".py") and scope.contains(relative) and not path.is_symlink():
                yield relative


def _write(tree: Path, sources: dict[str, tuple[bytes, list[Knob]]], changes: list[tuple[Knob, Value]]) -> None:
    for file in dict.fromkeys(knob.file for knob, _ in changes):
        source, _ = sources[file]
        mine = [(knob, value) for knob, value in changes if knob.file == file]
        (tree / file).write_bytes(literals.replace(source, mine))


def _nothing_to_tune(files: list[str], notes: list[str]) -> str:
    skipped = f" Skipped: {'; '.join(notes[:5])}." if notes else ""
    if not files:
        return f"The tuner found no Python file in scope; scope.edit must name one.{skipped}"
    named = listed(files)
    return (
        f"The tuner found nothing to tune in {named}. It turns assignments of a literal to one name, at module level "
        f'or in a class, such as `LEARNING_RATE = 3e-4`, or `OPTIMIZER = "adamw"  # one of: adamw, muon`.{skipped}'
    )
