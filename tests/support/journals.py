"""A small session in a real repository, written line by line as an engine would, with real commits behind it."""

from __future__ import annotations

from pathlib import Path

from repos import git, make_target

from autoresearch.state.journal import Journal, records
from autoresearch.state.session import Place, Session, create_session, find_place

BASELINE = (10.02, 9.99, 10.01, 9.98)


class Told:
    """Writes a session on a target whose score is the VALUE of knob.py. Every method appends real lines."""

    def __init__(self, folder: Path, name: str = "nov20", **target: str) -> None:
        self.repo = make_target(folder, **target)
        self.place: Place = find_place(self.repo / target.get("prefix", ""))
        self.base = git(self.repo, "rev-parse", "HEAD").strip()
        header = records.Header(
            name="knob", metric_name="score", metric_unit="s", session=name, base=self.base,
            target=self.place.prefix, branch=f"autoresearch/{name}", scope=("knob.py",), host="box",
            accelerator="cpu", verdict={"mode": "race", "odds": 10.0, "baseline_runs": 4, "max_runs": 8,
                                        "bundle": 4, "min_effect": 0.0},
        )  # fmt: skip
        self.session: Session = create_session(self.place, name, header, "[limits]\nexperiments = 25\n")
        self.incumbent = self.base
        self.number = 0
        self.proposals = 0
        self.write(records.Resume(by="engine"))

    def write(self, *lines: records.Record) -> None:
        journal = Journal(self.session.journal)
        try:
            journal.append(*lines)
        finally:
            journal.close()

    def sample(self, sha: str, arm: records.Arm, k: int, metric: float | None, cause: str | None = None) -> None:
        self.write(
            records.Sample(
                experiment=self.number, sha=sha, arm=arm, k=k, seed=k, metric=metric, exit=0 if cause is None else 1,
                metrics={} if metric is None else {"score": metric}, cause=cause, duration_s=2.5,
                detail="it said boom" if cause else "",
            )
        )  # fmt: skip

    def baseline(self) -> None:
        self.number = 1
        self.write(records.Intent(experiment=1, proposal=None, parent=self.base, sha=self.base))
        for k, value in enumerate(BASELINE, 1):
            self.sample(self.base, "candidate", k, value)
        self.write(
            records.Experiment(
                run=1, commit=self.base[:7], metric=10.0, metrics={"score": 10.0}, status="keep", cause="baseline",
                description="baseline", sha=self.base, parent=self.base, reason="10.000 on average of 4 runs",
            )
        )  # fmt: skip
        git(self.repo, "update-ref", f"refs/heads/autoresearch/{self.session.name}", self.base)

    def open(self, description: str, value: str, idea: str | None = None) -> str:
        """A proposal that sets the knob, committed and numbered; gives its commit."""
        sha = self._commit(description, value)
        self.proposals += 1
        self.number += 1
        self.write(
            records.Proposal(
                id=self.proposals, base=self.incumbent, sha=sha, agent="tuner", description=description,
                hypothesis=f"because of {value}", category="knob", files=("knob.py",), lines=(1, 1), idea=idea,
                cost_usd=0.25, tokens={"input": 100, "output": 20},
            ),
            records.Intent(experiment=self.number, proposal=self.proposals, parent=self.incumbent, sha=sha),
        )  # fmt: skip
        git(self.repo, "update-ref", f"{self.session.refs}{self.number}", sha)
        return sha

    def keep(self, description: str, value: float) -> str:
        sha = self.open(description, str(value))
        for k in (1, 2):
            self.sample(sha, "candidate", k, value)
        for k, noise in ((3, 0.01), (4, -0.01), (5, 0.0)):
            self.sample(sha, "fresh", k, value + noise)
        self._conclude("keep", "better", description, sha, value, 10.0 - value, 2)
        self.incumbent = sha
        git(self.repo, "update-ref", f"refs/heads/autoresearch/{self.session.name}", sha)
        return sha

    def discard(self, description: str, value: float, cause: str = "worse") -> str:
        sha = self.open(description, str(value))
        self.sample(sha, "candidate", 1, value)
        self._conclude("discard", cause, description, sha, value, 10.0 - value, 1)
        return sha

    def crash(self, description: str, cause: str = "nonzero_exit") -> str:
        sha = self.open(description, "boom")
        self.sample(sha, "candidate", 1, None, cause)
        self.write(
            records.Experiment(
                run=self.number, commit=sha[:7], metric=0.0, status="crash", cause=cause, sha=sha,
                reason="it said boom", description=description, parent=self.incumbent, proposal=self.proposals,
            )
        )  # fmt: skip
        return sha

    def run_folder(self, number: int, log: bytes) -> None:
        folder = self.session.run(number)
        folder.mkdir(parents=True)
        (folder / "output.log").write_bytes(log)

    def _conclude(
        self, status: records.Status, cause: str, description: str, sha: str, value: float, gain: float, runs: int
    ) -> None:
        self.write(
            records.Experiment(
                run=self.number, commit=sha[:7], metric=value, metrics={"score": value}, status=status, cause=cause,
                description=description, sha=sha, parent=self.incumbent, proposal=self.proposals, estimate=gain,
                interval=0.04, reason=f"a gain of {gain:.2f} ({runs} runs)", hypothesis="", category="knob",
                verdict={"rule": "race", "version": 1, "log_evidence": 3.52 if status == "keep" else -2.0, "r": runs},
                files=("knob.py",), duration_s=2.5 * runs, cost_usd=0.25,
            )
        )  # fmt: skip

    def _commit(self, description: str, value: str) -> str:
        """On the incumbent, through an index of its own: the user's tree stays as it is."""
        text = f"# the knob\nVALUE = {value}\n# the end\n"
        prefix = f"{self.place.prefix}/" if self.place.prefix else ""
        scratch = self.repo.parent / "scratch-knob"
        scratch.write_text(text)
        blob = git(self.repo, "hash-object", "-w", str(scratch)).strip()
        tree = git(self.repo, "ls-tree", "-r", self.incumbent).splitlines()
        wanted = f"{prefix}knob.py"
        entries = [f"{line.split()[0]} {blob}\t{wanted}" if line.endswith(f"\t{wanted}") else
                   f"{line.split()[0]} {line.split()[2]}\t{line.partition(chr(9))[2]}" for line in tree]  # fmt: skip
        return commit_tree(self.repo, self.incumbent, entries, description)


def commit_tree(repo: Path, parent: str, entries: list[str], message: str) -> str:
    import os
    import subprocess

    index = repo.parent / "scratch-index"
    index.unlink(missing_ok=True)
    env = {**os.environ, "GIT_INDEX_FILE": str(index)}
    feed = "\n".join(entries) + "\n"
    command = ["git", "-C", str(repo), "update-index", "--index-info"]
    subprocess.run(command, input=feed, text=True, env=env, check=True)
    made = subprocess.run(["git", "-C", str(repo), "write-tree"], env=env, check=True, capture_output=True, text=True)
    index.unlink()
    return git(repo, "commit-tree", made.stdout.strip(), "-p", parent, "-m", message).strip()


def told(folder: Path, **target: str) -> Told:
    """A baseline, a keep (#2), a discard (#3), an unproven one (#4), a crash (#5), ideas; paused by a limit."""
    session = Told(folder, **target)
    session.baseline()
    session.write(records.Idea(id="i1", text="turn the knob down", by="person"))
    session.write(records.Idea(id="i2", text="turn it \x1b[31mred\x1b[0m", by="agent"))
    session.keep("knob down to 9", 9.0)
    session.discard("knob up to 11", 11.0)
    session.discard("knob to 8.98", 8.98, cause="unproven")
    session.crash("knob to boom")
    session.write(records.Lesson(experiment=3, lesson="up is worse", retry_if="the sign changes"))
    session.write(records.DeadEnd(id="d1", text="large knobs", list="refuted", experiment=3))
    session.run_folder(3, b"loading\n\x1b]0;owned\x07score: 11.0\nprogress 1%\rprogress 100%\n")
    session.write(
        records.Pause(reason="experiment limit reached (5)", limit="experiments", fix="raise it", by="engine")
    )
    return session
