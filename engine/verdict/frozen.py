"""The rule as it was in versions 1 and 2, by which their journals are judged again. Nothing new is run by it. Pure.

Its default (`race`) is Wald's sequential probability ratio test (A. Wald, "Sequential tests of statistical
hypotheses", 1945) of "better by at least delta" against "no better", on the difference between the candidate's mean and
the mean of recent incumbent runs. For normal noise of known size the likelihood ratio

    log E = (delta * d - delta^2 / 2) / (s^2 * (1/r + 1/n))

is an e-value: by Ville's inequality P(E ever >= odds | no gain) <= 1/odds, however often one looks. With an estimated
s, with incumbent runs shared by many candidates and with heavy tails that bound is approximate; a test measures it.

The comparison is never with the record: the best of many noisy draws is better than its commit yields (the winner's
curse), which first lets luck in and later keeps real gains out. For the same reason a new incumbent's own race samples
are not used again; it is measured afresh (`Settings.fresh_runs`), and only that is reported.

A candidate that carries a flag (`flags`) is a keep only after `CONFIRMING_RUNS` runs, in every mode.

It asks for one confirming run and more where the noise is Gaussian and nothing drifts; what blocks do without either,
`rule` says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from autoresearch.engine.verdict import flags as suspicion
from autoresearch.engine.verdict.measured import means_of, usable, values_of, violated
from autoresearch.engine.verdict.noise import Noise, mean, student_t
from autoresearch.state.journal import History
from autoresearch.state.journal.records import Direction
from autoresearch.state.text import numbers

if TYPE_CHECKING:
    from autoresearch.state.journal.records import Header

VERSION = 2
"""2: flags ask for more runs. 1: there were none."""
DROP_ODDS = 1.5
LEAST_INCUMBENT_RUNS = 2
ENOUGH_INCUMBENT_RUNS = 6
FRESH_RUNS = 3
CONFIRMING_RUNS = 4
"""A flagged candidate is a keep only after so many runs (`max_runs` if that is less). In `fast` and `single` each must
be better than the incumbent's mean; without noise all must agree."""

Action = Literal["keep", "discard", "candidate", "incumbent"]
Mode = Literal["race", "fast", "single"]

_LARGEST_LOG = 1e9


@dataclass(frozen=True, slots=True)
class Settings:
    direction: Direction = "lower"
    mode: Mode = "race"
    odds: float = 10.0
    baseline_runs: int = 4
    max_runs: int = 8
    min_effect: float = 0.0
    bundle: int = 4

    @classmethod
    def from_header(cls, header: Header) -> Settings:
        """From a journal's header; what it does not hold (a header of another program) has its default."""
        known = {name: header.verdict[name] for name in _IN_HEADER if name in header.verdict}
        return cls(direction=header.direction, **known)

    def for_header(self) -> dict[str, Any]:
        """What `Header.verdict` holds."""
        return {name: getattr(self, name) for name in _IN_HEADER}

    @property
    def fresh_runs(self) -> int:
        """Samples a new incumbent gets after a keep. `single` takes none: its one run stands as unconfirmed."""
        return 0 if self.mode == "single" else FRESH_RUNS


_IN_HEADER = ("mode", "odds", "baseline_runs", "max_runs", "min_effect", "bundle")


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next. `cause`, `estimate`, `interval` and `verdict` are what an experiment line records."""

    action: Action
    reason: str
    """One sentence for people."""
    cause: str = ""
    """One of the record's keep or discard causes; empty while undecided."""
    estimate: float | None = None
    """How much better than the incumbent, in the metric's unit; positive is better. None before the first run."""
    interval: float | None = None
    """Half width of the 95% interval of `estimate` (Student's t); None where the noise is unknown."""
    verdict: dict[str, Any] = field(default_factory=dict)
    jump: suspicion.Flag | None = None
    """Set where a gain that would be kept lies far outside history."""

    @property
    def final(self) -> bool:
        return self.action in ("keep", "discard")


def judge(
    candidate: Sequence[float],
    incumbent: Sequence[float],
    noise: Noise,
    settings: Settings,
    *,
    between: bool = False,
    net_lines: int = 0,
    bundle: bool = False,
    violated: str = "",
    flags: Sequence[str] = (),
    earlier: Sequence[float] = (),
    version: int = VERSION,
) -> Decision:
    """What the candidate's runs so far mean, beside the incumbent's recent ones.

    `candidate` holds its runs in order, `incumbent` the incumbent's (baseline or fresh ones, and re-runs) among the
    last `state.journal.WINDOW` measurements of any arm. `noise` is the segment's, fixed when the candidate's first run
    started.
    `between` says that the last run was the incumbent's, between two of the candidate's: the candidate is next then,
    and the race is looked at after that. More looks let in more luck.
    `net_lines` is in-scope lines added minus removed; `violated` says which constraint the candidate's means exceed.
    `flags` are the diff's, `earlier` the segment's last estimates, which a jump is told by.

    Before a candidate's first run the incumbent needs two recent runs; during its race one may do, when the window
    has moved on: 1/n says what it is worth.

    Two cases go further than the test. Where the segment's noise is unusable (fewer than 2 degrees of freedom, or its
    repeats all agreed and this race's do not), the race's own two arms are pooled in its place. A candidate that
    removes lines is not dropped while it may still be found `simpler`.
    """
    least = LEAST_INCUMBENT_RUNS if settings.mode == "race" and not candidate else 1
    if len(incumbent) < least:
        return Decision("incumbent", "the incumbent has too few recent runs to compare with")
    if not candidate:
        return Decision("candidate", "the candidate has not run yet")
    if between and settings.mode == "race" and len(candidate) < settings.max_runs:
        return Decision("candidate", "undecided; the incumbent ran in between")
    case = _Case(
        tuple(map(numbers.cut, candidate)),
        tuple(map(numbers.cut, incumbent)),
        noise,
        settings,
        net_lines,
        bundle,
        violated,
    )
    if version >= 2:
        case.suspect(flags, earlier)
    case.version = version
    if settings.mode == "single":
        return _single(case)
    if settings.mode == "fast":
        return _fast(case)
    return _exact(case) if case.exact else _race(case)


class _Case:
    """The figures of one judgement, computed once."""

    def __init__(
        self,
        candidate: tuple[float, ...],
        incumbent: tuple[float, ...],
        noise: Noise,
        settings: Settings,
        net_lines: int,
        bundle: bool,
        violated: str,
    ) -> None:
        self.candidate, self.settings = candidate, settings
        self.shorter_by, self.bundle, self.violated = max(0, -net_lines), bundle, violated
        self.r, self.n = len(candidate), len(incumbent)
        self.sign = 1.0 if settings.direction == "lower" else -1.0
        self.reference = mean(incumbent)
        self.d = self.sign * (self.reference - mean(candidate))
        agree = _agree(candidate) and _agree(incumbent)
        if not noise.known or (noise.identical and not agree):
            noise = Noise.pool((candidate, incumbent))
        self.noise = noise
        self.exact = noise.nu > 1 and noise.sd == 0
        self.s = noise.s
        self.delta = max(settings.min_effect, 2 * self.s)
        self.variance_factor = 1 / self.r + 1 / self.n
        self.interval: float | None = None
        """From the plain sd: Student's t already pays for an sd from few repeats, the inflation would pay twice."""
        if noise.nu > 0 and math.isfinite(noise.ss):
            self.interval = student_t(noise.nu) * noise.sd * math.sqrt(self.variance_factor)
        self.log_evidence = 0.0 if self.exact else self._log_ratio(-1.0)
        """Of "better by delta" against "no better"."""
        self.log_unchanged = 0.0 if self.exact else self._log_ratio(1.0)
        """Of "no different" against "worse by delta"."""
        self.version = VERSION
        self.flags: tuple[str, ...] = ()
        self.jump: suspicion.Flag | None = None
        self.least_runs = 0
        """Candidate runs that a keep needs because of flags."""

    def suspect(self, flags: Sequence[str], earlier: Sequence[float]) -> None:
        """Take in what the diff is flagged for, and see whether the gain is a jump."""
        self.jump = suspicion.jump(self.d, earlier, self.s if math.isfinite(self.s) else 0.0)
        self.flags = ((self.jump.code,) if self.jump else ()) + tuple(flags)
        self.least_runs = min(CONFIRMING_RUNS, self.settings.max_runs) if self.flags else 0

    def _log_ratio(self, side: float) -> float:
        """(delta*d + side*delta^2/2) / (s^2 * (1/r + 1/n)), in units of s so that no magnitude overflows."""
        if not math.isfinite(self.s) or self.s == 0:
            return 0.0
        delta = min(self.delta / self.s, numbers.LARGEST)
        log = (delta * (self.d / self.s) + side * delta * delta / 2) / self.variance_factor
        return max(-_LARGEST_LOG, min(_LARGEST_LOG, log))

    def gains(self, value: float) -> bool:
        """Whether one run is better than the incumbent's mean, by at least what matters."""
        gain = self.sign * (self.reference - value)
        return gain > 0 and gain >= self.settings.min_effect

    def keep(self, cause: str, reason: str, log_evidence: float | None = None, rule: str = "race") -> Decision:
        if self.violated:
            return self._decide("discard", "over_constraint", f"{reason}, but {self.violated}", log_evidence, rule)
        if self.r < self.least_runs:
            return self.again("incumbent" if rule == "race" and self.n < ENOUGH_INCUMBENT_RUNS else "candidate", rule)
        return self._decide("keep", cause, reason, log_evidence, rule)

    def discard(self, rule: str = "race") -> Decision:
        """`unproven` when it may be a small gain hidden by noise (d > s/2), else `worse`."""
        if self.d <= (self.s / 2 if math.isfinite(self.s) else 0.0):
            return self._decide("discard", "worse", f"{self.difference} ({_runs(self.r)})", None, rule)
        if self.d - (self.interval or 0.0) > 0 and self.d < self.settings.min_effect:
            reason = f"{self.difference}, less than the smallest effect that matters ({self.min_effect})"
        else:
            amount = numbers.metric(self.d, self.interval)
            proven = f"not proven in {_runs(self.r)}" if self.r > 1 else "too small to prove (1 run)"
            reason = f"may be a gain of {' '.join(filter(None, (amount, self.uncertainty)))}, {proven}"
        if self.violated:
            return self._decide("discard", "over_constraint", f"{reason}, and {self.violated}", None, rule)
        return self._decide("discard", "unproven", reason, None, rule)

    def _decide(self, action: Action, cause: str, reason: str, log_evidence: float | None, rule: str) -> Decision:
        verdict = self.verdict(rule, log_evidence)
        return Decision(action, reason, cause, self.d, self.interval, verdict, self.jump)

    def again(self, action: Action, rule: str = "race") -> Decision:
        odds = f" ({numbers.odds(self.log_evidence)} after {_runs(self.r)})" if rule == "race" else ""
        return Decision(action, f"undecided{odds}", "", self.d, self.interval, self.verdict(rule, None))

    def verdict(self, rule: str, log_evidence: float | None) -> dict[str, Any]:
        """What the record holds; s and delta are None where they are not known."""
        raced = rule == "race"
        suspected = {"flags": list(self.flags), "least_runs": self.least_runs} if self.version >= 2 else {}
        return {
            "rule": rule,
            "version": self.version,
            "s": _finite(self.s),
            "nu": self.noise.nu,
            "delta": _finite(self.delta),
            "d": self.d,
            "r": self.r,
            "n": self.n,
            "log_evidence": (self.log_evidence if log_evidence is None else log_evidence) if raced else None,
            "threshold": self.settings.odds if raced else None,
            **suspected,
        }

    @property
    def uncertainty(self) -> str:
        return numbers.plus_minus(self.interval)

    @property
    def min_effect(self) -> str:
        return numbers.metric(self.settings.min_effect)

    @property
    def difference(self) -> str:
        """ "better by 0.0041 ±0.0012", "worse by …" or "no difference"."""
        if self.d == 0:
            return "no difference"
        amount = numbers.metric(abs(self.d), self.interval)
        uncertainty = "" if self.exact else self.uncertainty
        return " ".join(filter(None, ("better by" if self.d > 0 else "worse by", amount, uncertainty)))

    @property
    def shorter(self) -> str:
        return f"{self.shorter_by} {'line' if self.shorter_by == 1 else 'lines'} shorter without a real loss"


def _race(case: _Case) -> Decision:
    settings, r = case.settings, case.r
    enough, low = math.log(settings.odds), -math.log(DROP_ODDS)
    if r >= 2 and case.noise.nu > 1:
        if case.log_evidence >= enough and case.d >= settings.min_effect:
            evidence = f"({numbers.odds(case.log_evidence)}, {_runs(r)})"
            return case.keep("bundle" if case.bundle else "better", f"{case.difference} {evidence}")
        if case.shorter_by and case.log_unchanged >= enough:
            evidence = f"({numbers.odds(case.log_unchanged)}, {_runs(r)})"
            return case.keep("simpler", f"{case.shorter}: {case.difference} {evidence}", case.log_unchanged)
    hopeless = case.log_evidence <= low and not (case.shorter_by and case.log_unchanged > low)
    if hopeless or r >= settings.max_runs:
        return case.discard()
    return case.again("incumbent" if case.n < ENOUGH_INCUMBENT_RUNS else "candidate")


def _exact(case: _Case) -> Decision:
    """s = 0: every repeat has agreed, so two runs with the identical value are proof."""
    better = case.gains(case.candidate[-1])
    simpler = case.shorter_by > 0 and case.d >= 0
    if not better and not simpler:
        return case.discard("exact")
    if case.r < max(2, case.least_runs):
        return case.again("candidate", "exact")
    reason = f"{case.difference} ({_runs(case.r)} agree, no noise)"
    if better:
        return case.keep("bundle" if case.bundle else "better", reason, rule="exact")
    return case.keep("simpler", f"{case.shorter}: {reason}", rule="exact")


def _fast(case: _Case) -> Decision:
    """Better than the mean, then one confirming run. For big effects, when trying more ideas beats checking them."""
    better = all(map(case.gains, case.candidate))
    if case.r < 2:
        maybe_simpler = case.shorter_by > 0 and (
            case.d >= 0 if case.exact else case.noise.nu > 1 and case.log_unchanged > -math.log(DROP_ODDS)
        )
        return case.again("candidate", "fast") if better or maybe_simpler else case.discard("fast")
    if better:
        both = "both" if case.r == 2 else "each"
        return case.keep(
            "bundle" if case.bundle else "better", f"{case.difference} (in {both} of {_runs(case.r)})", rule="fast"
        )
    simpler = case.d >= 0 if case.exact else case.log_unchanged >= math.log(case.settings.odds)
    if case.shorter_by and simpler:
        return case.keep("simpler", f"{case.shorter}: {case.difference} ({_runs(case.r)})", rule="fast")
    return case.discard("fast")


def _single(case: _Case) -> Decision:
    if all(map(case.gains, case.candidate)):
        known = "1 run, unconfirmed" if case.r == 1 else _runs(case.r)
        return case.keep("bundle" if case.bundle else "better", f"{case.difference} ({known})", rule="single")
    return case.discard("single")


def _agree(values: Sequence[float]) -> bool:
    return all(value == values[0] for value in values)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


# -- from a journal's open experiment


def noise_of(history: History) -> Noise:
    """What the open experiment is judged by: the noise its intent holds, whatever has been learned since.

    A line of an older version holds none; then it is the segment's as it is now.
    """
    return Noise.of((history.open and history.open.noise) or history.spread)


def judge_open(history: History, noise: Noise, settings: Settings, constraints: Mapping[str, float | str]) -> Decision:
    """What the open experiment's samples so far mean."""
    opened, waiting = history.open, history.opened_proposal
    assert opened is not None
    assert waiting is not None
    samples = opened.of("candidate")
    broken = violated(constraints, history.baseline_metrics, means_of(samples))
    return judge(
        values_of(samples),
        history.incumbent_values(),
        noise,
        settings,
        between=[sample.arm for sample in usable(opened.samples)][-1:] == ["incumbent"],
        net_lines=waiting.net_lines,
        bundle=bool(waiting.bundle),
        violated=broken if samples else "",
        flags=opened.flags,
        earlier=history.estimates,
        version=opened.version,
    )
