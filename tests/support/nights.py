"""A night of research, written line by line as an engine would, on a small training target in a real repository."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from repos import git, make_repo, write

from autoresearch.engine.agents.tuner.trials import params_of
from autoresearch.engine.brief import Mend, gather, render
from autoresearch.engine.brief.dossier import Dossier
from autoresearch.engine.git import Git
from autoresearch.engine.secrets import NONE
from autoresearch.state.config import Config
from autoresearch.state.config import config as configs
from autoresearch.state.journal import Journal, records
from autoresearch.state.session import Place, Session, create_session, find_place

TOML = """\
name = "tinyformer"
objective = "The lowest validation loss after a minute of training."
program = "program.md"

[metric]
name = "val_loss"
unit = "nats"

[scope]
edit = ["train.py", "model/*.py"]

[measure]
run = "python train.py"
evaluate = "python evaluate.py"
artifacts = ["out/model.pt"]
budget_s = 60
feedback = "report.txt"

[[guard]]
run = "python -m pytest -q"

[constraints]
peak_vram_mb = "1.2x"

[holdout]
run = "python evaluate.py --secret-split"

[agent]
kind = "claude"

[limits]
experiments = 40
hours = 8
dollars = 10
stagnation_after = 5
"""

PROGRAM = """\
# Strategy

Small models train fast here, so prefer changes that pay within a minute.

## Rules
Keep the code readable: somebody teaches with it.
"""

TRAIN = '''\
"""Train the model for a minute."""

import model.net as net

LR = 0.003
WARMUP_STEPS = 100
BATCH = 32


def main() -> None:
    net.fit(lr=LR, warmup=WARMUP_STEPS, batch=BATCH)


main()
'''

NET = '''\
"""The network."""

DEPTH = 4


class Block:
    """Attention, then a gated MLP."""

    def forward(self, x):
        return x


def fit(lr: float, warmup: int, batch: int) -> None:
    """Fit it until the time is over."""
'''

FILES = {"autoresearch.toml": TOML, "program.md": PROGRAM, "train.py": TRAIN, "model/net.py": NET,
         "evaluate.py": "print('val_loss: 3.1')\n"}  # fmt: skip
BASELINE = (3.1402, 3.1448, 3.1420, 3.1430)
START_MS = 1_700_000_000_000
MINUTE_MS = 60_000


class Night:
    """Every method appends real lines, a minute apart."""

    def __init__(self, folder: Path, files: dict[str, str] | None = None, config: str = TOML) -> None:
        self.repo = make_repo(folder, {**FILES, "autoresearch.toml": config, **(files or {})})
        self.place: Place = find_place(self.repo)
        self.config: Config = configs.loads(config, name="tinyformer")
        self.base = git(self.repo, "rev-parse", "HEAD").strip()
        self.now = START_MS
        header = records.Header(name="tinyformer", metric_name="val_loss", metric_unit="nats", session="nov20",
                                base=self.base, scope=self.config.scope.edit, timestamp=self.now)  # fmt: skip
        self.session: Session = create_session(self.place, "nov20", header, configs.dumps(self.config))
        self.incumbent, self.number, self.proposals = self.base, 0, 0
        self.write(records.Resume(by="engine", timestamp=self._minute()))

    def dossier(self, mend: Mend | None = None) -> Dossier:
        git_of_session = Git(self.place.common_dir)
        return gather(
            self.place,
            self.session,
            self.session.history(),
            self.config,
            git_of_session,
            self.incumbent,
            NONE,
            mend,
        )

    def brief(self, chars: int = 48_000, mend: Mend | None = None, *, for_cli: bool = False) -> str:
        return render(self.dossier(mend), chars, for_cli=for_cli)

    def _minute(self) -> int:
        self.now += MINUTE_MS
        return self.now

    def write(self, *lines: records.Record) -> None:
        journal = Journal(self.session.journal)
        try:
            journal.append(*lines)
        finally:
            journal.close()

    def sample(self, sha: str, arm: records.Arm, k: int, metric: float | None, cause: str | None = None) -> None:
        self.write(
            records.Sample(experiment=self.number, sha=sha, arm=arm, k=k, seed=k, metric=metric, cause=cause,
                           duration_s=62.0, timestamp=self._minute(), metrics={"peak_vram_mb": 5000.0})
        )  # fmt: skip

    def baseline(self) -> None:
        self.number = 1
        self.write(
            records.Intent(experiment=1, proposal=None, parent=self.base, sha=self.base, timestamp=self._minute())
        )
        for k, value in enumerate(BASELINE, 1):
            self.sample(self.base, "candidate", k, value)
        self._conclude("keep", "baseline", "baseline", self.base, 3.1425, "3.1425 on average of 4 runs",
                       metrics={"val_loss": 3.1425, "peak_vram_mb": 5000.0}, proposal=None)  # fmt: skip

    def propose(self, description: str, *, files: dict[str, str] | None = None, **words: Any) -> str:
        """A proposal committed on the incumbent, and recorded; gives its commit."""
        before = git(self.repo, "show", f"{self.incumbent}:train.py")
        git(self.repo, "read-tree", self.incumbent)
        git(self.repo, "checkout-index", "-a", "-f")
        write(self.repo, files or {"train.py": before + f"# {description}\n"})
        git(self.repo, "add", "-A")
        tree = git(self.repo, "write-tree").strip()
        git(self.repo, "reset", "-q", "--hard")
        sha = git(self.repo, "commit-tree", tree, "-p", self.incumbent, "-m", "candidate").strip()
        self.proposals += 1
        line = {"agent": "claude", "category": "optimizer", "lines": (2, 1), "cost_usd": 0.11, **words}
        self.write(
            records.Proposal(id=self.proposals, base=self.incumbent, sha=sha, description=description,
                             timestamp=self._minute(), **line)
        )  # fmt: skip
        return sha

    def begin(self, sha: str) -> None:
        self.number += 1
        self.write(
            records.Intent(experiment=self.number, proposal=self.proposals, parent=self.incumbent, sha=sha,
                           timestamp=self._minute())
        )  # fmt: skip

    def keep(self, description: str, value: float, reason: str, **words: Any) -> int:
        sha = self.propose(description, **words)
        self.begin(sha)
        for k in (1, 2):
            self.sample(sha, "candidate", k, value)
        for k, off in ((3, 0.0015), (4, -0.0015), (5, 0.0)):
            self.sample(sha, "fresh", k, value + off)
        self._conclude("keep", words.pop("cause", "better"), description, sha, value, reason, **_line(words))
        self.incumbent = sha
        return self.number

    def discard(self, description: str, value: float, reason: str, cause: str = "worse", **words: Any) -> int:
        sha = self.propose(description, **words)
        self.begin(sha)
        self.sample(sha, "candidate", 1, value)
        self._conclude("discard", cause, description, sha, value, reason, **_line(words))
        return self.number

    def crash(self, description: str, reason: str, log: str = "", cause: str = "nonzero_exit", **words: Any) -> int:
        sha = self.propose(description, **words)
        self.begin(sha)
        self.sample(sha, "candidate", 1, None, cause)
        self._conclude("crash", cause, description, sha, 0.0, reason, **_line(words))
        if log:
            self.output(self.number, "output.log", log)
        return self.number

    def guard(self, description: str, reason: str, log: str, **words: Any) -> int:
        sha = self.propose(description, **words)
        self.begin(sha)
        self.sample(sha, "candidate", 1, 3.0)
        self._conclude("checks_failed", "guard", description, sha, 3.0, reason, **_line(words))
        self.output(self.number, "guard.log", log)
        return self.number

    def output(self, number: int, name: str, text: str) -> None:
        path = self.session.run(number) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def lesson(self, number: int, lesson: str, retry_if: str = "") -> None:
        self.write(records.Lesson(experiment=number, lesson=lesson, retry_if=retry_if, by="claude", timestamp=self.now))

    def steer(self, text: str) -> None:
        self.write(records.Steer(text=text, by="ann", timestamp=self._minute()))

    def idea(self, id: str, text: str) -> None:
        self.write(records.Idea(id=id, text=text, by="claude", timestamp=self.now))

    def _conclude(
        self, status: records.Status, cause: str, description: str, sha: str, value: float, reason: str, **line: Any
    ) -> None:
        line = {"proposal": self.proposals, "category": "optimizer", **line}
        self.write(
            records.Experiment(run=self.number, commit=sha[:7], metric=value, status=status, cause=cause, sha=sha,
                               description=description, reason=reason, parent=self.incumbent,
                               timestamp=self._minute(), **line)
        )  # fmt: skip


def _line(words: dict[str, Any]) -> dict[str, Any]:
    return {key: words[key] for key in ("hypothesis", "category") if key in words}


def example(folder: Path) -> Night:
    """The night that docs/brief-example.md tells of."""
    night = Night(folder)
    night.baseline()
    night.idea("i1", "RMSNorm in place of LayerNorm")
    night.idea("i2", "tie the input and output embeddings")
    night.idea("i3", "cosine decay to a tenth in the last third")
    for n, (lr, value) in enumerate(((0.001, 3.2410), (0.0018, 3.1702), (0.0028, 3.1431), (0.0026, 3.1467))):
        night.discard(f"LR 0.003 to {lr}", value, f"worse by {value - 3.1425:.4f} ±0.0049 (1 run)",
                      agent="tuner", params=params_of({"train.py:LR": (0.003, lr)}), cost_usd=None)  # fmt: skip
        if n == 0:
            night.lesson(2, "Smaller steps only get less far in a minute", "the budget is ten times as long")
    night.steer("Memory is tight on this box: nothing that needs more of it, please.")
    night.keep("learning rate 0.003 to 0.006", 3.0911, "better by 0.0514 ±0.0031 (over 10,000 to 1, 2 runs)",
               hypothesis="A minute is short; the loss still falls steeply at the end, so larger steps should pay.",
               expected_effect="0.03 to 0.06",
               files={"train.py": TRAIN.replace("0.003", "0.006")})  # fmt: skip
    night.lesson(6, "The run is limited by how far it gets, not by noise in the steps")
    night.discard("learning rate 0.006 to 0.012", 3.4127, "worse by 0.3216 ±0.0062 (1 run)",
                  hypothesis="If 0.006 was better, more may be better still.")  # fmt: skip
    night.lesson(7, "It diverges after step 200", "gradients are clipped")
    night.discard("warmup 100 to 50 steps", 3.0895, "may be a gain of 0.0016 ±0.0041, too small to prove (1 run)",
                  cause="unproven", category="schedule",
                  hypothesis="A third of the minute goes into warming up.")  # fmt: skip
    first = night.crash(
        "gradient clipping at 1.0", "exited with 1: AttributeError: 'Block' object has no attribute 'grad'",
        "step 0\nTraceback (most recent call last):\n  File \"train.py\", line 11, in <module>\n"
        "AttributeError: 'Block' object has no attribute 'grad'\n",
        hypothesis="Clipping lets the larger learning rate live.",
    )  # fmt: skip
    night.discard("gradient clipping at 1.0, on the parameters", 3.0935, "worse by 0.0024 ±0.0041 (1 run)",
                  mends=first, hypothesis="Clipping lets the larger learning rate live.")  # fmt: skip
    night.lesson(10, "Clipping alone changes nothing at 0.006", "the learning rate goes up again")
    night.guard("squared ReLU in the MLP", "the guard `python -m pytest -q` failed: 1 failed, 11 passed",
                "..F.........\nFAILED test_net.py::test_the_gate_is_smooth\n1 failed, 11 passed\n",
                category="architecture", hypothesis="Sparser activations, at no cost.")  # fmt: skip
    night.output(6, "kept/report.txt", "loss by position\n  first quarter  3.61\n  last quarter   2.88\n")
    night.write(records.Note(id="n1", text="train.py is shown to students; keep it short", by="ann", timestamp=1))
    night.write(records.Veto(id="i3", reason="tried by hand last week", by="ann", timestamp=night.now))
    night.steer("Have a look at the first quarter of the context: it is far behind.")
    night.begin(night.propose("grouped-query attention with 2 key heads", category="architecture"))
    return night


EXAMPLE = Path(__file__).parents[2] / "docs" / "brief-example.md"
_HEAD = """\
# What an agent is told

This is the brief of a small made-up session, as an agent CLI gets it (`agent.kind = "command"`). `autoresearch brief`
prints the one of yours. It is made by `python tests/support/nights.py`, and a test compares it.

````text
"""


def example_page(brief: str) -> str:
    return f"{_HEAD}{brief}````\n"


def section(brief: str, title: str) -> str:
    """The body of a section; "" when it is not in the brief."""
    return brief.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def headings(brief: str) -> list[str]:
    return [line for line in brief.split("\n") if re.match(r"\s{0,3}#{1,2}(\s|$)", line)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        EXAMPLE.write_text(example_page(example(Path(folder) / "repo").brief(for_cli=True)), encoding="utf-8")
    sys.stdout.write(f"wrote {EXAMPLE.name}\n")
