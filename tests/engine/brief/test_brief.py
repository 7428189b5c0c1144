"""The brief as a whole, on real journals and commits, and the command that prints it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from nights import EXAMPLE, Night, example, example_page
from repos import git

from autoresearch.engine.brief import Mend
from autoresearch.state.journal import records
from autoresearch.tui.cli import cli


def test_the_example_of_the_docs_is_what_is_rendered(told: Night) -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example_page(told.brief(for_cli=True)), (
        "run `python tests/support/nights.py`"
    )


def test_the_holdout_is_never_told(tmp_path: Path) -> None:
    night = example(tmp_path / "repo")
    night.write(
        records.Sample(experiment=6, sha=night.incumbent, arm="holdout", k=9, seed=9, metric=7.7777,
                       metrics={"secret_loss": 7.7777})
    )  # fmt: skip
    night.output(6, "holdout.log", "secret_loss: 7.7777\n")
    for for_cli in (True, False):
        brief = night.brief(for_cli=for_cli, mend=Mend(11, "rework", "failed", 1, 2))
        assert "secret" not in brief
        assert "7.7777" not in brief
        assert "holdout" not in brief.lower()


def test_the_same_state_gives_the_same_bytes_anywhere(tmp_path: Path, told: Night) -> None:
    other = example(tmp_path / "elsewhere" / "deep" / "repo")
    for chars in (3000, 48_000):
        assert other.brief(chars, for_cli=True) == told.brief(chars, for_cli=True)
    code = "import sys; from autoresearch.tui.cli import main; sys.argv = ['autoresearch', 'brief']; main()"
    said_by = {
        subprocess.run([sys.executable, "-c", code], cwd=told.repo, capture_output=True, check=True, text=True,
                       env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": seed, "GIT_CONFIG_GLOBAL": "/dev/null"}).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert said_by == {told.brief()}


def test_the_command_prints_the_brief_and_its_length(told: Night) -> None:
    result = CliRunner().invoke(cli, ["brief", "-C", str(told.repo)])
    assert result.exit_code == 0, result.output
    assert result.output == told.brief()
    answer = json.loads(CliRunner().invoke(cli, ["brief", "-C", str(told.repo), "--json", "--chars", "5000"]).output)
    assert answer == {"text": told.brief(5000), "chars": len(told.brief(5000))}


def test_the_command_changes_nothing(told: Night) -> None:
    before = git(told.repo, "status", "--porcelain", "--ignored"), told.session.journal.read_bytes()
    CliRunner().invoke(cli, ["brief", "-C", str(told.repo)])
    assert (git(told.repo, "status", "--porcelain", "--ignored"), told.session.journal.read_bytes()) == before
