from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.notebook import Edit, Entries, Entry, Idea, View, load, merge, render, save, weave
from autoresearch.state.notebook.lines import ID
from autoresearch.state.notebook.view import HEADINGS
from autoresearch.state.text import plain

VIEW = View(
    title="nanogpt",
    objective=("The lowest val_bpb in a fixed training budget.",),
    measured=("`python train.py`, 300 s", "4 runs of the baseline"),
    rules=("Edit `train.py`.",),
    stand=("Best 0.9932 (#12), baseline 1.0021.", "17 experiments."),
    worked=Entries((Entry("#12", "warm-up 200 → 50 steps: 0.9932"), Entry("#4", "weight decay 0.1: 0.9979"))),
    refuted=Entries((Entry("d1", "dropout: worse by 0.01", "agent"), Entry("#7", "SwiGLU: worse"))),
    unproven=Entries((Entry("#9", "RMSNorm: +0.0004 ± 0.0009"),)),
    crashed=Entries((Entry("#3", "batch 512: out of memory"),)),
    ideas=(Idea("i1", "try GQA"), Idea("i2", "longer warm-down", "taken"), Idea("i3", "z-loss")),
    notes=(Entry("n1", "the loader is the bottleneck", "anna"),),
)
PURE = render(VIEW)
LATER = View(**{name: getattr(VIEW, name) for name in View.__dataclass_fields__} | {"stand": ("18 experiments.",)})


def edited(old: str, new: str, text: str = PURE) -> tuple[Edit, ...]:
    """The edits of a file in which `old` was replaced; nothing of it stays as prose."""
    assert old in text
    found = merge(PURE, text.replace(old, new), PURE)
    assert found.prose == ()
    assert found.warning == ""
    return found.edits


def kinds(edits: tuple[Edit, ...]) -> list[tuple[Any, ...]]:
    return [tuple(v for v in (e.kind, e.id, e.text, e.list, e.first) if v) for e in edits]


def test_sections_come_in_order_and_entries_carry_their_ids() -> None:
    lines = PURE.splitlines()
    assert [line for line in lines if line.startswith("## ")] == list(HEADINGS)
    assert "- [ ] try GQA <!-- i1 -->" in lines
    assert "- [~] longer warm-down <!-- i2 -->" in lines
    assert "- SwiGLU: worse <!-- #7 -->" in lines


def test_a_new_line_under_ideas_is_an_idea_at_its_place() -> None:
    assert kinds(edited("z-loss <!-- i3 -->\n", "z-loss <!-- i3 -->\n- [ ] try muon\n")) == [("idea", "try muon")]
    assert kinds(edited("- [ ] try GQA", "* try muon\n- [ ] try GQA")) == [("idea", "try muon", True)]


def test_an_idea_of_several_lines_keeps_all_its_words() -> None:
    new = "- [ ] try muon\n  with momentum\n\tand decay\n"
    assert kinds(edited("## Notes\n", f"{new}\n## Notes\n"))[0] == ("idea", "try muon with momentum and decay")


@pytest.mark.parametrize(
    ("heading", "edit"),
    [
        ("### Refuted", ("dead_end", "ReLU²", "refuted")),
        ("### Unproven", ("dead_end", "ReLU²", "unproven")),
        ("### Crashed or blocked", ("dead_end", "ReLU²", "crashed")),
        ("## Dead ends", ("dead_end", "ReLU²", "refuted")),
        ("## Notes", ("note", "ReLU²")),
    ],
)
def test_a_new_line_becomes_what_its_section_holds(heading: str, edit: tuple[str, ...]) -> None:
    assert kinds(edited(f"{heading}\n\n", f"{heading}\n\n- ReLU²\n")) == [edit]


def test_a_deleted_line_is_a_veto_a_changed_one_an_edit_a_checked_one_closed() -> None:
    assert kinds(edited("- [ ] try GQA <!-- i1 -->\n", "")) == [("veto", "i1")]
    assert kinds(edited("dropout: worse by 0.01", "dropout hurts below 1B")) == [
        ("change", "d1", "dropout hurts below 1B")
    ]
    assert kinds(edited("- [ ] z-loss", "- [x] z-loss")) == [("close", "i3")]
    assert kinds(edited("- [ ] z-loss", "- [X] z-loss 1e-4")) == [("close", "i3"), ("change", "i3", "z-loss 1e-4")]
    assert kinds(edited("try GQA <!-- i1 -->", "<!-- i1 -->")) == [("veto", "i1")]


def test_ideas_that_were_moved_up_are_put_first_in_the_order_that_gives_the_files() -> None:
    lines = {
        id: next(f"{line}\n" for line in PURE.splitlines() if f"<!-- {id} -->" in line) for id in ("i1", "i2", "i3")
    }
    found = edited(lines["i1"] + lines["i2"] + lines["i3"], lines["i3"] + lines["i1"] + lines["i2"])
    assert kinds(found) == [("first", "i3")]
    order = ["i1", "i2", "i3"]
    for edit in edited(lines["i1"] + lines["i2"] + lines["i3"], lines["i3"] + lines["i2"] + lines["i1"]):
        order = [edit.id, *(id for id in order if id != edit.id)]
    assert order == ["i3", "i2", "i1"]


def test_an_idea_moved_to_the_dead_ends_is_one() -> None:
    line = "- [ ] z-loss <!-- i3 -->\n"
    text = PURE.replace(line, "").replace("### Unproven\n\n", f"### Unproven\n\n{line}")
    assert kinds(merge(PURE, text, PURE).edits) == [("veto", "i3"), ("dead_end", "z-loss", "unproven")]
    line = "- dropout: worse by 0.01 <!-- d1 -->\n"
    text = PURE.replace(line, "").replace("### Unproven\n\n", f"### Unproven\n\n{line}")
    assert kinds(merge(PURE, text, PURE).edits) == [("dead_end", "d1", "dropout: worse by 0.01", "unproven")]


def test_a_pasted_line_is_one_line_and_a_pasted_and_changed_one_is_new() -> None:
    line = "- [ ] z-loss <!-- i3 -->\n"
    assert edited(line, line + line) == ()
    assert kinds(edited(line, line + "- [ ] z-loss 1e-3 <!-- i3 -->\n")) == [("idea", "z-loss 1e-3")]
    assert kinds(edited(line, "- [ ] z-loss 1e-3 <!-- i3 -->\n" + line)) == [("idea", "z-loss 1e-3")]


def test_a_foreign_line_that_ends_in_several_ids_is_the_same_after_the_next_merge() -> None:
    text = PURE.replace("## Ideas", "mine <!-- z9 --> <!-- i3 --><!-- i3 -->\n## Ideas")
    once = weave(PURE, merge(PURE, text, PURE).prose)
    assert "mine <!-- z9 -->\n" in once, "what is no id of ours is somebody's words"
    assert weave(PURE, merge(PURE, once, PURE).prose) == once


def test_an_invented_id_is_a_new_line() -> None:
    assert kinds(edited("- [ ] z-loss", "- [ ] muon <!-- i99 -->\n- [ ] z-loss")) == [("idea", "muon")]


def test_what_somebody_wrote_about_a_kept_experiment_is_kept_beside_it() -> None:
    found = merge(PURE, PURE.replace("warm-up 200 → 50", "mind the seed: 200 → 50"), PURE)
    assert found.edits == ()
    assert "mind the seed: 200 → 50" in weave(render(LATER), found.prose)
    assert "warm-up 200 → 50" in weave(render(LATER), found.prose)


def test_prose_stays_at_its_place_when_the_engine_writes_other_lines_around_it() -> None:
    text = PURE.replace(
        "## What worked\n", "My view: stop tuning.\r\n  ```\n- [ ] not an idea\n```\n\n## What worked\n"
    )
    text = text.replace("- [ ] z-loss", "(after GQA)\n- [ ] z-loss") + "\n## Budget\n- [ ] buy a GPU\nno newline"
    found = merge(PURE, text, PURE)
    assert found.edits == ()
    woven = weave(render(LATER), found.prose)
    assert "18 experiments.\n\nMy view" in woven or "18 experiments.\nMy view" in woven
    assert "My view: stop tuning.\r\n  ```\n- [ ] not an idea\n```\n" in woven
    assert "<!-- i2 -->\n(after GQA)\n- [ ] z-loss" in woven
    assert woven.endswith("\n## Budget\n- [ ] buy a GPU\nno newline")


def test_a_person_may_rewrite_a_line_of_the_engine_and_both_are_kept() -> None:
    found = merge(PURE, PURE.replace("Edit `train.py`.", "Edit `train.py`, gently."), PURE)
    woven = weave(PURE, found.prose)
    assert "Edit `train.py`, gently.\n" in woven
    assert "Edit `train.py`.\n" in woven


def test_an_editor_that_writes_windows_line_ends_changes_nothing() -> None:
    found = merge(PURE, PURE.replace("\n", "\r\n"), PURE)
    assert (found.edits, weave(PURE, found.prose)) == ((), PURE)


@pytest.mark.parametrize("text", ["", "  \n", "\0\udcff", "my own words\n", "# nanogpt\n\n## Ideas\n\n## Notes\n"])
def test_a_file_that_lost_everything_vetoes_nothing_and_says_so(text: str) -> None:
    found = merge(PURE, text, PURE)
    assert found.edits == ()
    assert "again" in found.warning
    assert text.strip("# nagopt\n")[:3] in weave(PURE, found.prose)


def test_a_file_that_was_cut_off_vetoes_nothing() -> None:
    for end in range(len(PURE)):
        found = merge(PURE, PURE[:end], PURE)
        assert not [edit for edit in found.edits if edit.kind in ("veto", "close")], PURE[:end][-40:]


def test_the_only_idea_can_be_deleted() -> None:
    pure = render(View("x", ideas=(Idea("i1", "one"),)))
    assert kinds(merge(pure, pure.replace("- [ ] one <!-- i1 -->\n", ""), pure).edits) == [("veto", "i1")]


def test_a_heading_with_a_pasted_id_is_a_heading_at_once() -> None:
    """The id goes in the next rendering: what stands below must not turn into an idea only then."""
    found = merge(PURE, "## Ideas <!-- i1 -->\n- look at the loader\n" + PURE, PURE)
    assert kinds(found.edits) == [("idea", "look at the loader", True)]
    again = weave(PURE, found.prose)
    assert merge(PURE, again, PURE).edits == ()


def test_what_is_so_already_is_not_an_edit() -> None:
    done = View("nanogpt", ideas=(Idea("i3", "z-loss 1e-4"),))
    text = PURE.replace("z-loss", "z-loss 1e-4").replace("- [ ] try GQA <!-- i1 -->\n", "")
    assert merge(PURE, text, render(done)).edits == ()


def test_the_same_edit_has_the_same_request_until_the_file_is_written_again() -> None:
    text = PURE.replace("- [ ] z-loss", "- [ ] muon\n- [ ] muon\n- [ ] z-loss")
    first, second = merge(PURE, text, PURE).edits
    assert (first, second) == merge(PURE, text, PURE).edits
    assert first.request != second.request
    later = render(LATER)
    (other,) = merge(later, later.replace("- [ ] z-loss", "- [ ] muon\n- [ ] z-loss"), later).edits
    assert other.request not in (first.request, second.request)


def test_a_kill_between_the_base_and_the_file_costs_nothing(tmp_path: Path) -> None:
    file, base = tmp_path / "autoresearch.md", tmp_path / "base"
    save(file, base, PURE, PURE)
    written = file.read_bytes()
    smaller = render(View("nanogpt", ideas=VIEW.ideas[1:]))
    save(file, base, smaller, smaller)
    file.write_bytes(written.replace(b"- [ ] z-loss", b"- [ ] muon\n- [ ] z-loss"))
    found = merge(load(base), load(file), smaller)
    assert kinds(found.edits) == [("idea", "muon")]
    assert found.prose == ()


def test_a_notebook_without_its_base_is_not_taken_for_edited() -> None:
    assert merge("", PURE, render(LATER)) == merge(PURE, PURE, PURE)
    found = merge("", PURE.replace("- [ ] z-loss <!-- i3 -->", "- [ ] muon"), PURE)
    assert kinds(found.edits) == [("veto", "i3"), ("idea", "muon")], "it began as what would be written now"
    found = merge("", PURE.replace("- [ ] z-loss <!-- i3 -->", "- [ ] muon"), render(LATER))
    assert kinds(found.edits) == [("idea", "muon")]
    assert "nothing was vetoed" in found.warning


def test_bytes_that_are_not_utf8_survive(tmp_path: Path) -> None:
    file, base = tmp_path / "autoresearch.md", tmp_path / "base"
    save(file, base, PURE, PURE)
    file.write_bytes(file.read_bytes() + b"caf\xe9\n- not \xff utf8\n")
    found = merge(load(base), load(file), PURE)
    assert kinds(found.edits) == [("note", "not ? utf8")]
    save(file, base, PURE, weave(PURE, found.prose))
    assert b"caf\xe9\n" in file.read_bytes()


def test_text_from_outside_cannot_pose_as_the_notebook() -> None:
    nasty = "x\n## Ideas\n- [ ] y <!-- i7 -->\x1b[31m"
    view = View("a\nb", objective=(nasty, "```"), ideas=(Idea("i1", nasty),), notes=(Entry("n1", "[x] " + nasty),))
    text = render(view)
    assert text.count("\n## Ideas\n") == 1
    assert "\x1b" not in text
    assert merge(text, text + "\n- note\n", text).edits[0].kind == "note"
    assert merge(text, text, text).edits == ()


# Properties. Texts hold what breaks merges: ids, headings, boxes, fences, line ends of all kinds.

_pieces = st.sampled_from(
    [" ", "a", "- ", "- [ ] ", "- [x] ", "<!-- i1 -->", "<!-- #7 -->", "<!-- i77 -->", "<!--", "-->",
     "## Ideas", "## Notes",     "### Refuted", "```", "\r", "\u2028", "\x0c", "\udcff", "z-loss", "\\", "&", "#", "…"]
)  # fmt: skip
texts = st.lists(_pieces, max_size=5).map("".join)
lines = texts.map(lambda text: text.replace("\n", ""))
ids = st.integers(1, 40)


@st.composite
def views(draw: st.DrawFn) -> View:
    def entries(prefix: str, by: str) -> st.SearchStrategy[list[Entry]]:
        one = st.builds(Entry, st.just(""), texts, st.just(by), lines)
        return st.lists(one, max_size=4).map(
            lambda found: [Entry(f"{prefix}{n}", e.text, e.by, e.family, n) for n, e in enumerate(found, 1)]
        )

    worked, refuted = draw(entries("#", "")), draw(entries("d", "anna"))
    ideas = [Idea(f"i{n}", text) for n, text in enumerate(draw(st.lists(texts, max_size=5)), 1)]
    return View(
        draw(texts),
        draw(st.lists(texts, max_size=2)),
        draw(st.lists(lines, max_size=2)),
        stand=draw(st.lists(texts, max_size=3)),
        worked=Entries(worked),
        refuted=Entries(refuted),
        ideas=ideas,
        notes=draw(entries("n", "anna")),
    )


@given(views())
def test_a_rendering_that_nobody_touched_has_no_edits(view: View) -> None:
    text = render(view)
    assert merge(text, text, text) == merge(f"\0{text}", text, text) == merge("", "", "")


@given(views(), views())
def test_a_rendering_that_nobody_touched_has_no_edits_later_either(view: View, later: View) -> None:
    text, ours = render(view), render(later)
    for base in (text, f"\0{text}", f"{ours}\0{text}"):
        found = merge(base, text, ours)
        assert (found.edits, found.prose) == ((), ())


@given(st.data(), views(), views())
def test_lines_put_anywhere_survive_byte_for_byte(data: st.DataObject, view: View, later: View) -> None:
    """Prose survives as bytes; a list line may become an edit, with all its words."""
    pure = render(view)
    put = [f"{n}§{line}" for n, line in enumerate(data.draw(st.lists(lines, min_size=1, max_size=5)))]
    put = [data.draw(st.sampled_from(["", "- ", "  ", "> "])) + line for line in put]
    file = pure.split("\n")
    for line in put:
        file.insert(data.draw(st.integers(0, len(file))), line)
    found = merge(pure, "\n".join(file), pure)
    woven = weave(render(later), found.prose).split("\n")
    told = " ".join(edit.text for edit in found.edits)
    for line in put:
        bare = ID.sub("", line)  # a pasted id goes, its words stay
        words = plain(bare[2:] if bare.startswith("- ") else bare)
        pure_words = bare
        while ID.search(pure_words):
            pure_words = ID.sub("", pure_words)
        assert {line, bare, pure_words} & set(woven) or (line.startswith(("- ", "  ")) and words in told), (line, told)


@given(st.data(), views())
def test_any_text_is_merged_and_written_again_to_the_same(data: st.DataObject, view: View) -> None:
    pure = render(view)
    gone = data.draw(st.sets(st.integers(0, 50), max_size=12))
    kept = [line for n, line in enumerate(pure.split("\n")) if n not in gone]
    for line in data.draw(st.lists(lines | st.sampled_from(pure.split("\n")), max_size=6)):
        kept.insert(data.draw(st.integers(0, len(kept))), line)
    once = weave(pure, merge(pure, "\n".join(kept), pure).prose)
    again = merge(pure, once, pure)
    assert again.warning == ""
    assert [edit for edit in again.edits if edit.kind in ("veto", "close", "first")] == []
    assert weave(pure, again.prose) == once
