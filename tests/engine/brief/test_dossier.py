"""What a brief is made from: what is read, what is not, and what is taken out of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from nights import TOML, Night, section

from autoresearch.engine.brief import Mend
from autoresearch.engine.workspace import trees_folder


def test_a_message_is_new_until_a_brief_has_surely_held_it(tmp_path: Path) -> None:
    """It may arrive while a proposal is being written, whose line then follows it."""
    night = Night(tmp_path / "repo")
    night.baseline()
    night.discard("first", 3.2, "worse")
    night.steer("look at the data")
    night.discard("second, begun before the message", 3.2, "worse")
    assert "- new: look at the data" in night.brief()
    night.discard("by the tuner", 3.2, "worse", agent="tuner")
    assert "- new: look at the data" in night.brief()
    night.discard("third", 3.2, "worse")
    assert "- earlier: look at the data" in night.brief()


def test_feedback_of_the_incumbent_is_quoted_and_a_link_is_not_followed(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.baseline()
    night.output(1, "kept/report.txt", "first quarter 3.61\n")
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    night.discard("a", 3.2, "worse")
    (night.session.run(2) / "kept").mkdir(parents=True)
    (night.session.run(2) / "kept" / "report.txt").symlink_to(secret)
    brief = night.brief()
    assert "`report.txt` of #1, the best:\n\n| first quarter 3.61" in brief
    assert "SECRET" not in brief


def test_the_program_is_read_afresh_from_the_persons_tree(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.brief()
    (night.repo / "program.md").write_text("Try something bold today.\n")
    assert "> Try something bold today." in night.brief()
    (night.repo / "program.md").unlink()
    assert "`program.md`, which is missing or empty" in night.brief()
    (tmp_path / "id_rsa").write_text("a private key\n")
    for private in (tmp_path / "id_rsa", night.repo / ".git" / "config"):
        (night.repo / "program.md").symlink_to(private)
        assert "`program.md`, which is missing or empty" in night.brief(), (
            "a link came with a pull, and says not where to"
        )
        (night.repo / "program.md").unlink()
    (night.repo / "notes.md").write_text("Try something old.\n")
    (night.repo / "program.md").symlink_to("notes.md")
    assert "> Try something old." in night.brief()


def test_a_target_in_a_folder_names_its_files_from_there(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo", {"apps/a/autoresearch.toml": TOML, "apps/a/train.py": "LR = 5\n"})
    place = dataclasses.replace(night.place, prefix="apps/a")
    night.place = place
    files = section(night.brief(), "Files in scope")
    assert "### train.py\n\n1\tLR = 5" in files
    assert "0.003" not in files, "the train.py of the top is another target's"


def test_places_of_this_machine_are_taken_out_of_what_runs_printed(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.baseline()
    tree = trees_folder(night.place, "nov20") / "autoresearch-nov20-measure"
    number = night.crash("x", f"it said {tree}/train.py:3 boom", f'  File "{tree}/train.py", line 3\n{night.repo}/a\n')
    brief = night.brief(mend=Mend(number, "debug", f"{tree}/model/net.py:7 boom", 1, 2))
    assert "| model/net.py:7 boom" in brief
    assert "«it said train.py:3 boom»" in brief
    for text in (brief, night.brief()):
        assert str(tmp_path) not in text
        assert str(tree.parent) not in text
    assert '|   File "train.py", line 3' in night.brief()
