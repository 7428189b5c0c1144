"""The dry run as the screen calls it: findings and progress as they come, ended by cancelling it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from repos import TOML, make_target

from autoresearch.engine.doctor import Finding, Progress, Report, dry_run, dryrun, kept
from autoresearch.engine.measure import Job, LocalSlot
from autoresearch.engine.sandbox import Copied, Overlaid
from autoresearch.state.config import config as configs
from autoresearch.state.journal.records import Sample
from autoresearch.state.session import Session, find_place


@pytest.fixture(autouse=True)
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTORESEARCH_TREES", str(tmp_path / "trees"))
    return tmp_path / "trees"


def examine(repo: Path, seen: list[Finding | Progress] | None = None, runs: int = 3, canaries: bool = True) -> Report:
    place = find_place(repo)
    config = configs.load(place.config_file)
    heard: list[Finding | Progress] = [] if seen is None else seen
    return asyncio.run(dry_run(place, config, on=heard.append, runs=runs, canaries=canaries))


def states(report: Report, name: str) -> list[str]:
    return [finding.state for finding in report.findings if finding.name == name]


def test_what_happens_is_told_before_what_was_found(tmp_path: Path) -> None:
    seen: list[Finding | Progress] = []
    report = examine(make_target(tmp_path / "repo"), seen)
    assert report.findings == tuple(item for item in seen if isinstance(item, Finding))
    told = [item.name if isinstance(item, Finding) else item.text.split(" ")[0] for item in seen]
    after = told[told.index("the") :]
    assert after == ["the", "run", "metric", "does", "measured", "is", "protection", "run", "run", "noise", "night"]
    estimates = [item.about_s for item in seen if isinstance(item, Progress) and item.about_s is not None]
    assert len(estimates) == 3
    assert min(estimates) > 0


def test_cancelling_it_leaves_neither_trees_nor_samples(tmp_path: Path, trees: Path) -> None:
    repo = make_target(tmp_path / "repo")
    place = find_place(repo)
    config = configs.load(place.config_file)

    async def work() -> None:
        def on(item: Finding | Progress) -> None:
            if isinstance(item, Progress) and item.text.startswith("run 2"):
                task.cancel()

        task = asyncio.create_task(dry_run(place, config, on=on))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert [path.name for path in trees.rglob(".dryrun*")] == []
    assert not (repo / ".git" / "worktrees").exists()
    assert not kept.kept_file(place).exists()


def test_a_check_that_finds_nothing_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for maker in (Overlaid, Copied):
        monkeypatch.setattr(maker, "replaced", lambda self, stack: iter(()))
    report = examine(make_target(tmp_path / "repo"))
    assert states(report, "protection") == ["fail"]
    assert not report.good
    assert not report.kept


def test_a_check_that_the_machine_kept_from_its_end_is_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writing run is over in milliseconds, before a limit or a stranger could be seen: so that is put in here."""
    sample = LocalSlot.sample

    async def kept_from_it(slot: LocalSlot, job: Job) -> Sample:
        made = await sample(slot, job)
        return replace(made, cause="disk_limit", detail="the disk was full") if job.folder.name == "tampering" else made

    monkeypatch.setattr(LocalSlot, "sample", kept_from_it)
    report = examine(make_target(tmp_path / "repo"))
    (found,) = (finding for finding in report.findings if finding.name == "protection")
    assert (found.state, found.text.split(" told: ")[1]) == ("warn", "the disk was full")
    assert found.fix


def test_beside_a_running_session_nothing_is_kept(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo")
    place = find_place(repo)
    assert examine(repo).kept
    other = Session(place.sessions_dir / "nov20")
    other.folder.mkdir()
    other.journal.write_text('{"type":"config"}\n')
    with other.lock():
        report = examine(repo)
    assert states(report, "session") == ["warn"]
    assert report.good
    assert not report.kept
    assert "samples" not in kept.kept_file(place).read_text()


def test_files_beyond_the_cap_are_named_when_canaries_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dryrun, "QUICK_S", 0.0)
    monkeypatch.setattr(dryrun, "MOST_CANARIES", 1)
    repo = make_target(tmp_path / "repo", toml=TOML.replace('["knob.py"]', '["knob.py", "README.md"]'))
    report = examine(repo)
    told = {finding.state: finding.text for finding in report.findings if finding.name == "measured"}
    assert "knob.py" in told["ok"]
    assert told["note"].endswith("README.md")
    monkeypatch.setattr(dryrun, "MOST_CANARIES", 8)
    monkeypatch.setattr(dryrun, "MOST_LONG_CANARIES", 0)
    monkeypatch.setattr(dryrun, "LONG_S", 0.0)
    told = {finding.state: finding.text for finding in examine(repo).findings if finding.name == "measured"}
    assert list(told) == ["note"]
