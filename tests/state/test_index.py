from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.state import index
from autoresearch.state.index import Hit, IndexBusy, find_experiments, refresh_index, search
from autoresearch.state.journal import LISTS, History, list_of, records


def experiment(run: int, description: str, **more: Any) -> records.Experiment:
    fields: dict[str, Any] = {"status": "discard", "timestamp": 1000 + run, "metric": 1.0} | more
    return records.Experiment(run=run, commit=f"{run:07x}", description=description, **fields)


def append(path: Path, *lines: records.Record | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(line if isinstance(line, bytes) else records.encode(line) for line in lines))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "nov20" / "autoresearch.jsonl"
    append(
        path,
        records.Header(name="nano"),
        experiment(1, "baseline", status="keep", cause="baseline"),
        experiment(2, "double the learning rate", hypothesis="warm-up hides it", files=("src/train.py", "ö b.py")),
        experiment(3, "grouped-query attention", status="crash", cause="out_of_memory", metric=0, category="model"),
        records.Lesson(experiment=2, lesson="diverges after 200 steps", retry_if="with QK norm", timestamp=1),
        experiment(4, "halve the learning rate", status="keep", reason="better by 0.004"),
    )
    return path


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


def runs(hits: list[Hit]) -> list[int]:
    return [hit.run for hit in hits]


def test_words_are_found_in_all_that_was_written_down(db: Path, journal: Path) -> None:
    def found(words: str) -> list[int]:
        return sorted(runs(find_experiments(db, {"nov20": journal}, words)))

    assert found("learning rate") == [2, 4]
    assert found("warm-up") == [2]
    assert found("diverges QK") == [2]
    assert found("train.py") == found("src/train.py") == [2]
    assert found("out_of_memory") == [3]
    assert found("better 0.004") == [4]
    assert found("o b.py") == found("Ö B") == [2]
    assert found("grouped atten") == [3], "the last word may be a beginning"
    assert found("attention group") == [3]
    assert found('"rate learning"') == []
    assert found('"learning rate"') == [2, 4]
    assert found("nothing-like-it") == []
    assert found("grouped nonsense") == [3], "any of the words when none has all"


def test_a_hit_tells_what_became_of_it(db: Path, journal: Path) -> None:
    (hit,) = find_experiments(db, {"nov20": journal}, "attention")
    assert (hit.session, hit.run, hit.status, hit.cause, hit.category) == (
        "nov20",
        3,
        "crash",
        "out_of_memory",
        "model",
    )
    assert hit.metric is None, "a crash has no value"
    assert hit.snippet == "grouped-query [attention]"
    (hit,) = find_experiments(db, {"nov20": journal}, "warm")
    assert hit.files == ("src/train.py", "ö b.py")
    assert (hit.metric, hit.lesson) == (1.0, "diverges after 200 steps Retry if: with QK norm")


def test_a_word_in_the_description_counts_more_than_in_the_reason(db: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    append(
        path, experiment(1, "try muon once", reason="worse"), experiment(2, "try adam once", reason="worse than muon")
    )
    assert runs(find_experiments(db, {"a": path}, "muon")) == [1, 2]


def test_filters_hold_with_and_without_words(db: Path, journal: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    append(other, experiment(1, "another learning rate", category="lr"))
    journals = {"nov20": journal, "nov21": other}
    assert runs(find_experiments(db, journals, "learning", status="keep")) == [4]
    assert runs(find_experiments(db, journals, "learning", category="lr")) == [1]
    assert [hit.session for hit in find_experiments(db, journals, "learning", sessions=["nov21"])] == ["nov21"]
    assert runs(find_experiments(db, journals, "", sessions=["nov20"], limit=2)) == [4, 3]
    assert len(find_experiments(db, journals, "learning", sessions=["nov20", "nov21"])) == 3


def test_the_lists_are_those_of_the_notebook(db: Path, tmp_path: Path) -> None:
    kinds = [("keep", "better"), ("discard", "worse"), ("discard", "unproven"), ("discard", "over_constraint"),
             ("discard", ""), ("crash", "timeout"), ("checks_failed", "guard")]  # fmt: skip
    path = tmp_path / "autoresearch.jsonl"
    append(path, records.Header(), *(experiment(n, "x", status=s, cause=c) for n, (s, c) in enumerate(kinds, 1)))
    rows = History().load(path).rows
    for name in LISTS:
        assert sorted(runs(find_experiments(db, {"s": path}, "", where=name))) == [
            r.number for r in rows if list_of(r) == name
        ]


def test_only_new_lines_are_read_and_a_torn_one_waits(db: Path, journal: Path) -> None:
    refresh_index(db, {"nov20": journal})
    line = records.encode(experiment(5, "try muon"))
    append(journal, b"{garbage\n", b'["muon"]\n', b'{"run": true}\n', line[:-20])
    assert runs(find_experiments(db, {"nov20": journal}, "muon")) == []
    append(journal, line[-20:], records.Lesson(experiment=3, lesson="muon would fit"))
    assert sorted(runs(find_experiments(db, {"nov20": journal}, "muon"))) == [3, 5]
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("update experiments set description = 'marked' where run = 1")
        connection.commit()
    append(journal, experiment(6, "muon again"))
    assert sorted(runs(find_experiments(db, {"nov20": journal}, "muon"))) == [3, 5, 6]
    assert runs(find_experiments(db, {"nov20": journal}, "marked")) == [1], "older rows were not read again"


def test_a_journal_that_was_cut_or_replaced_is_read_anew(db: Path, journal: Path) -> None:
    refresh_index(db, {"nov20": journal})
    whole = journal.read_bytes()
    journal.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert runs(find_experiments(db, {"nov20": journal}, "learning rate")) == [2]
    journal.write_bytes(whole.replace(b"double", b"triple"))
    assert runs(find_experiments(db, {"nov20": journal}, "triple")) == [2]
    journal.write_bytes(whole.replace(b"halve", b"third"))
    assert runs(find_experiments(db, {"nov20": journal}, "third")) == [4], "the same length and the same head"
    journal.unlink()
    assert find_experiments(db, {"nov20": journal}, "") == []


def test_a_deleted_session_is_forgotten(db: Path, journal: Path) -> None:
    assert find_experiments(db, {"nov20": journal}, "learning")
    assert find_experiments(db, {}, "learning") == []


def test_the_first_of_two_experiments_with_one_number_stays(db: Path, journal: Path) -> None:
    append(journal, experiment(4, "an impostor"))
    refresh_index(db, {"nov20": journal})
    append(journal, experiment(4, "another impostor"))
    assert find_experiments(db, {"nov20": journal}, "impostor") == []
    assert runs(find_experiments(db, {"nov20": journal}, "halve")) == [4]


def test_a_log_of_pi_is_found_by_its_side_information(db: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    asi = {"hypothesis": "cache misses", "tags": ["simd", 3], "learned": "align first"}
    append(path, orjson.dumps({"run": 1, "status": "keep", "metric": 2, "asi": asi}) + b"\n")
    for words in ("cache", "simd", "align"):
        assert runs(find_experiments(db, {"pi": path}, words)) == [1]


def damage(db: Path, how: str) -> None:
    data = db.read_bytes()
    if how == "garbage":
        db.write_bytes(b"\x13garbage" * 1000)
    elif how == "empty":
        db.write_bytes(b"")
    elif how == "truncated":
        db.write_bytes(data[: len(data) // 2 + 100])
    elif how == "holed":
        db.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    elif how == "deleted":
        db.unlink()
    elif how == "stale journal":
        db.with_name("index.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 600)
        db.write_bytes(b"nothing of a database" * 99)
    else:
        with closing(sqlite3.connect(db)) as connection:
            connection.executescript("drop table experiments_fts" if how == "no table" else "pragma user_version = 99")


@pytest.mark.parametrize(
    "how", ["garbage", "empty", "truncated", "holed", "deleted", "stale journal", "no table", "version"]
)
def test_a_damaged_index_is_rebuilt_by_itself(db: Path, journal: Path, how: str) -> None:
    append(journal, *(experiment(n, f"learning rate number {n}") for n in range(5, 400)))
    before = find_experiments(db, {"nov20": journal}, "learning rate", limit=1000)
    assert len(before) == 397
    damage(db, how)
    assert find_experiments(db, {"nov20": journal}, "learning rate", limit=1000) == before
    append(journal, experiment(400, "learning rate last"))
    assert len(find_experiments(db, {"nov20": journal}, "learning rate", limit=1000)) == 398
    assert [path.name for path in db.parent.iterdir() if path.name.startswith(".")] == []


def test_where_nothing_can_be_written_the_search_still_works(journal: Path) -> None:
    nowhere = Path("/proc/autoresearch/index.db")
    assert runs(find_experiments(nowhere, {"nov20": journal}, "attention")) == [3]
    append(journal, experiment(5, "sliding attention"))
    assert sorted(runs(find_experiments(nowhere, {"nov20": journal}, "attention"))) == [3, 5]


def test_two_processes_may_refresh_at_once(db: Path, journal: Path) -> None:
    append(journal, *(experiment(n, f"number {n}") for n in range(5, 1500)))
    code = (
        "import sys; from pathlib import Path; from autoresearch.state.index import find_experiments\n"
        "print(len(find_experiments(Path(sys.argv[1]), {'nov20': Path(sys.argv[2])}, 'number', 9999)))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(db), str(journal)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate()[0].strip() for process in running] == ["1495"] * 3
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("select count(*) from experiments").fetchone() == (1499,)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_process_that_never_lets_go_is_named(db: Path, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh_index(db, {"nov20": journal})
    append(journal, experiment(5, "x"))
    monkeypatch.setattr(index, "_WAIT_S", 0.05)
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(IndexBusy, match="try again"):
            find_experiments(db, {"nov20": journal}, "x")
    assert runs(find_experiments(db, {"nov20": journal}, "x")) == [5]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    append(folder / "a.jsonl", experiment(1, "AND OR NOT near* ^column:x - ünï 1e-3 ½"))
    return refresh_index(folder / "index.db", {"a": folder / "a.jsonl"})


_hard = st.sampled_from(
    [
        '"',
        "'",
        "*",
        "^",
        "-",
        "+",
        "AND",
        "OR",
        "NOT",
        "NEAR(",
        ")",
        ":",
        "{",
        "\0",
        "\\",
        "ünï",
        "½",
        "²",
        "\u0301",
        "a b",
    ]
)


@settings(max_examples=300)
@given(st.lists(_hard | st.text(max_size=5), max_size=6).map(" ".join) | st.lists(_hard, max_size=6).map("".join))
def test_no_words_are_a_syntax_error(filled: Path, words: str) -> None:
    assert len(search(filled, words)) <= 1


def test_operators_are_words(filled: Path) -> None:
    for words in ("AND", "not", "near", "OR NOT", "column:x", "1e-3", "½", "unfound OR"):
        assert runs(search(filled, words)) == [1], words
    assert search(filled, "unfound*") == []


def test_searching_what_is_up_to_date_does_not_import_the_writer(db: Path, journal: Path) -> None:
    refresh_index(db, {"nov20": journal})
    code = (
        "import sys; from pathlib import Path; from autoresearch.state.index import find_experiments\n"
        "found = find_experiments(Path(sys.argv[1]), {'nov20': Path(sys.argv[2])}, 'learning')\n"
        "sys.exit('sqlite_utils' in sys.modules or len(found) != 2)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(db), str(journal)]).returncode == 0
