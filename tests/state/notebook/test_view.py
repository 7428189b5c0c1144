from __future__ import annotations

from autoresearch.state.notebook import Entries, Entry, Fold, View, render
from autoresearch.state.notebook.view import fold


def test_older_lines_of_the_engine_fold_and_those_of_people_do_not() -> None:
    mine = Entry("d5", "keep me", "anna", "learning rate")
    entries = [*(Entry(f"#{n}", f"lr {n}", "", "learning rate", n, n / 100) for n in range(60, 0, -1)), mine]
    stay, folds = fold(entries, keep=10)
    assert [entry.number for entry in stay] == [*range(60, 50, -1), None]
    assert folds == [Fold("learning rate", 50, 1, 50, 0.01)]
    text = render(View("x", worked=Entries(entries, (Fold("learning rate", 7, 100, 120, 0.005),))))
    assert "- … and 42 more in learning rate (#1–#120), best 0.005\n" in text
    assert "keep me <!-- d5 -->" in text


def test_a_long_night_stays_short() -> None:
    def night(list_name: str) -> Entries:
        return Entries([Entry(f"#{n}", f"{list_name} {n}", "", f"family {n % 50}", n, 1.0) for n in range(3000, 0, -1)])

    view = View("x", worked=night("w"), refuted=night("r"), unproven=night("u"), crashed=night("c"))
    text = render(view)
    assert len(text.splitlines()) < 300
    assert text.count("… and") == 4 * 8
