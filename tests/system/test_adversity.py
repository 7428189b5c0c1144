"""Candidates, repositories and machines that do their worst: none of them ends or wedges a session, or harms the user.

Each candidate here changes knob.py; `bench.py` imports it, so its code runs inside the measured process. What follows
it is an honest candidate, which must still be measured and kept.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from engines import check_agreement, lines, place, run, saved, session
from repos import BENCH, TOML, git, make_repo, make_target, patch, snapshot, write

from autoresearch.engine.workspace import trees_folder
from autoresearch.state.journal import records

QUICK = TOML + '\n[verdict]\nmode = "single"\nbaseline_runs = 1\n'
OPEN = QUICK.replace("budget_s = 0", 'budget_s = 0\nconfine = "off"')
"""For attacks that a confinement refuses: what follows them must hold where there is none."""
KNOB = "# the knob\nVALUE = 10.0\n# the end\n"
HONEST = KNOB.replace("10.0", "9.0")


def patches(tmp_path: Path, files: dict[str, str], changes: list[dict[str, str]]) -> str:
    """One patch per change, each made against `files`."""
    folder = tmp_path / "patches"
    for n, change in enumerate(changes, 1):
        text = f"Subject: change {n}\n\n---\n"
        for name, new in change.items():
            old = files.get(name, "")
            made = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{name}", f"b/{name}", n=1)
            text += f"diff --git a/{name} b/{name}\n" + "".join(made)
        write(folder, {f"{n:02d}.patch": text})
    return str(folder)


def attack(
    tmp_path: Path, code: str, toml: str = QUICK, more: dict[str, str] | None = None, **env: str
) -> tuple[Path, list[tuple[str, str]]]:
    """Run a candidate with `code`, then an honest one; gives the repository and how both ended."""
    files = {"knob.py": KNOB, "bench.py": BENCH, **(more or {})}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, **files})
    source = patches(tmp_path, files, [{"knob.py": KNOB + code}, {"knob.py": HONEST}])
    before = snapshot(repo)
    run(repo, "--replay", source, expect=0, **env)
    assert snapshot(repo) == before
    rows = check_agreement(repo).rows
    assert rows[0].cause == "baseline"
    return repo, [(row.status, row.cause) for row in rows[1:]]


KEPT = ("keep", "better")


def in_turn(tmp_path: Path, codes: list[str], toml: str = QUICK) -> list[tuple[str, str]]:
    """Run candidates with these codes in one session, an honest one after each; gives how the former ended.

    What follows each is measured for what it is, and a better one that comes last is kept.
    """
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, **files})
    changes = [{"knob.py": text} for n, code in enumerate(codes)
               for text in (KNOB + code, KNOB.replace("10.0", f"{11 + n}.0"))]  # fmt: skip
    source = patches(tmp_path, files, [*changes, {"knob.py": HONEST}])
    before = snapshot(repo)
    run(repo, "--replay", source, expect=0)
    assert snapshot(repo) == before
    baseline, *rows, last = check_agreement(repo).rows
    assert baseline.cause == "baseline"
    assert (last.status, last.cause) == KEPT
    for n, row in enumerate(rows[1::2]):
        assert (row.status, row.cause) == ("discard", "worse")
        assert row.metric == pytest.approx(11 + n, abs=0.1)
    return [(row.status, row.cause) for row in rows[::2]]


def test_a_file_that_becomes_a_pipe_does_not_block_the_engine(tmp_path: Path) -> None:
    _, ended = attack(tmp_path, "import os\nos.remove('knob.py')\nos.mkfifo('knob.py')\n")
    assert ended == [("discard", "worse"), KEPT]


def test_a_file_that_becomes_huge_is_not_read_into_memory(tmp_path: Path) -> None:
    _, ended = attack(tmp_path, "import os\nos.truncate('knob.py', 1 << 42)\n")
    assert ended == [("discard", "worse"), KEPT]


def test_a_run_that_deletes_its_own_log_has_no_metric(tmp_path: Path) -> None:
    _, ended = attack(tmp_path, "import os\nos.unlink(os.readlink('/proc/self/fd/1'))\n", OPEN)
    assert ended == [("crash", "no_metric"), KEPT]


def test_a_run_that_puts_something_else_in_its_logs_place_has_no_metric(tmp_path: Path) -> None:
    begin = "import os\nlog = os.readlink('/proc/self/fd/1')\nos.unlink(log)\n"
    others = ["os.mkfifo(log)", "os.mkdir(log)", "os.symlink('/dev/zero', log)"]
    ended = in_turn(tmp_path, [f"{begin}{other}\n" for other in others], OPEN)
    assert ended == [("crash", "no_metric")] * len(others)


def test_a_run_that_deletes_its_experiments_folder_has_no_metric(tmp_path: Path) -> None:
    code = "import os, shutil\nshutil.rmtree(os.path.dirname(os.readlink('/proc/self/fd/1')))\n"
    _, ended = attack(tmp_path, code, OPEN)
    assert ended == [("crash", "no_metric"), KEPT]


DEEP = """
import os
here = os.open('.', os.O_RDONLY)
os.chdir({where})
for _ in range(3000):
    os.mkdir('d')
    os.chdir('d')
os.fchdir(here)
"""


def test_folders_too_deep_for_recursion_are_cleaned_away(tmp_path: Path) -> None:
    places = ["'.'", "os.environ['HOME']", "os.environ['TMPDIR']"]
    ended = in_turn(tmp_path, [DEEP.format(where=place) for place in places])
    assert ended == [("discard", "worse")] * len(places)


def test_what_a_run_does_to_its_home_does_not_last(tmp_path: Path) -> None:
    begin = "import os, shutil\nhome, tmp = os.environ['HOME'], os.environ['TMPDIR']\n"
    codes = [
        "shutil.rmtree(home + '/.cache'); open(home + '/.cache', 'w').close()",
        "shutil.rmtree(home); os.symlink('/etc', home)",
        "shutil.rmtree(home); open(home, 'w').close()",
        "shutil.rmtree(tmp); open(tmp, 'w').close()",
        "shutil.rmtree(tmp); os.symlink('/etc', tmp)",
        "shutil.rmtree(os.path.dirname(home), ignore_errors=True)",
        "os.chmod(home, 0); os.chmod(tmp, 0)",
        "os.geteuid() or (os.chown(home, 12345, 12345), os.chown(tmp, 12345, 12345))",
    ]
    ended = in_turn(tmp_path, [f"{begin}{code}\n" for code in codes], OPEN)
    assert ended == [("discard", "worse")] * len(codes)


def test_a_flood_of_metrics_stays_small_in_the_journal(tmp_path: Path) -> None:
    repo, ended = attack(tmp_path, "for n in range(100_000): print(f'METRIC {chr(7)}m{n}={n}')\n")
    assert ended == [("discard", "worse"), KEPT]
    assert session(repo).journal.stat().st_size < 100_000


def test_prepared_data_that_a_run_spoils_is_prepared_again(tmp_path: Path) -> None:
    toml = QUICK.replace('run = "python', 'setup = "mkdir -p data && printf words > data/corpus"\nrun = "python')
    bench = "assert open('data/corpus').read() == 'words'\n" + BENCH
    code = "open('data/corpus', 'a').write('!')\n"
    _, ended = attack(tmp_path, code, toml, {"bench.py": bench, ".gitignore": "data/\n"})
    assert ended == [("crash", "tampered"), KEPT]


def test_prepared_data_of_a_deleted_tree_is_prepared_again(tmp_path: Path) -> None:
    toml = QUICK.replace('run = "python', 'setup = "mkdir -p data && printf words > data/corpus"\nrun = "python')
    bench = "assert open('data/corpus').read() == 'words'\n" + BENCH
    code = "import os, shutil\nshutil.rmtree(os.getcwd())\n"
    _, ended = attack(tmp_path, code, toml, {"bench.py": bench, ".gitignore": "data/\n"})
    assert ended == [("crash", "tampered"), KEPT]


def test_a_deleted_evaluation_tree_is_prepared_again(tmp_path: Path) -> None:
    toml = OPEN.replace('run = "python', 'setup = "mkdir -p data && printf words > data/corpus"\nrun = "python')
    toml = toml.replace("bench.py", "train.py").replace(
        "budget_s = 0", 'evaluate = "python evaluator.py"\nartifacts = ["model"]\nbudget_s = 0'
    )
    more = {
        "train.py": "import knob\nopen('model', 'w').write(str(knob.VALUE))\n",
        "evaluator.py": "assert open('data/corpus').read() == 'words'\nprint('METRIC score=' + open('model').read())\n",
        ".gitignore": "data/\n",
    }
    code = "import glob, shutil\n[shutil.rmtree(tree) for tree in glob.glob('../*-evaluate')]\n"
    _, ended = attack(tmp_path, code, toml, more)
    assert ended == [("discard", "worse"), KEPT]


def test_restoring_protected_files_does_not_follow_a_link_that_a_run_left(tmp_path: Path) -> None:
    """The run puts a link to the user's own folder where protected files were."""
    theirs = tmp_path / "r" / "lib"
    code = f"import os, shutil\nshutil.rmtree('lib')\nos.symlink({str(theirs)!r}, 'lib')\n"
    _, ended = attack(tmp_path, code, more={"lib/data.txt": "precious\n"})
    assert ended == [("crash", "tampered"), KEPT]
    assert (theirs / "data.txt").read_text() == "precious\n"


WIDE = QUICK.replace('edit = ["knob.py"]', 'edit = ["**", "!bench.py"]\nlink = ["data/raw"]')


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_candidate_in_the_way_of_linked_data_does_not_reach_the_users(kind: str, tmp_path: Path) -> None:
    """The candidate commits something in the place of a folder in which `scope.link` shows the user's data."""
    files = {"knob.py": KNOB, "bench.py": "open('data/raw/x').read()\n" + BENCH, ".gitignore": "raw/\n"}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": WIDE, **files})
    write(repo, {"data/raw/x": "precious"})
    source = Path(patches(tmp_path, files, [{}, {"knob.py": HONEST}]))
    text = f"{repo}/data" if kind == "link" else "just text"
    mode = "120000" if kind == "link" else "100644"
    write(
        source,
        {
            "01.patch": f"Subject: in the way\n\n---\ndiff --git a/data b/data\nnew file mode {mode}\n--- /dev/null\n"
            f"+++ b/data\n@@ -0,0 +1 @@\n+{text}\n" + ("\\ No newline at end of file\n" if kind == "link" else "")
        },
    )
    before = snapshot(repo)
    run(repo, "--replay", str(source), expect=0)
    assert snapshot(repo) == before
    assert [(row.status, row.cause) for row in check_agreement(repo).rows][-1] == KEPT


def test_an_artifact_below_what_the_candidate_made_a_file_is_not_taken(tmp_path: Path) -> None:
    files = {
        "knob.py": KNOB,
        "out/readme": "x\n",
        "train.py": (
            "import knob, os, pathlib, shutil\n"
            "out = pathlib.Path('out')\n"
            "out.unlink() if out.is_file() else None\n"
            "out.mkdir(exist_ok=True)\n"
            "(out / 'model').write_text(str(knob.VALUE))\n"
        ),
        "evaluator.py": "print('METRIC score=' + open('out/model').read())\n",
    }
    toml = QUICK.replace("bench.py", "train.py").replace('["knob.py"]', '["knob.py", "out", "out/**"]')
    toml = toml.replace("budget_s = 0", 'evaluate = "python evaluator.py"\nartifacts = ["out/model"]\nbudget_s = 0')
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, **files})
    source = Path(patches(tmp_path, files, [{}, {"knob.py": HONEST}]))
    write(
        source,
        {
            "01.patch": "Subject: a file\n\n---\ndiff --git a/out/readme b/out/readme\ndeleted file mode 100644\n"
            "--- a/out/readme\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\ndiff --git a/out b/out\nnew file mode 100644\n"
            "--- /dev/null\n+++ b/out\n@@ -0,0 +1 @@\n+text\n"
        },
    )
    run(repo, "--replay", str(source), expect=0)
    assert [(row.status, row.cause) for row in check_agreement(repo).rows[1:]] == [("crash", "no_metric"), KEPT]


def test_a_build_that_changes_a_tracked_file_is_built_for_every_run(tmp_path: Path) -> None:
    """What is checked out again for the second run would otherwise lack what the build made of it."""
    toml = TOML.replace('["knob.py"]', '["knob.py", "made.py"]')
    toml = toml.replace('run = "python', 'build = "python make.py"\nrun = "python')
    files = {
        "knob.py": KNOB,
        "made.py": "VALUE = 1.0\n",
        "make.py": "import knob\nopen('made.py', 'w').write(f'VALUE = {knob.VALUE}')\nopen('built', 'w').close()\n",
        "bench.py": BENCH.replace("from knob", "from made"),
    }
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, **files})
    run(repo, "--replay", patches(tmp_path, files, [{"knob.py": HONEST}]), expect=0)
    samples = [line.metric for line in lines(repo) if isinstance(line, records.Sample) and line.experiment == 1]
    assert samples == pytest.approx([10.0] * 4, abs=0.1)


# -- the machine


def test_tampering_is_noticed_whatever_git_variables_the_user_has(tmp_path: Path) -> None:
    _, ended = attack(
        tmp_path, "open('bench.py', 'a').write('#')\n", GIT_INDEX_VERSION="4", GIT_DIR="/nowhere", GIT_WORK_TREE="/",
        GIT_COMMITTER_DATE="yesterday", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="core.bare", GIT_CONFIG_VALUE_0="true",
        GIT_ATTR_SOURCE="HEAD~9", GIT_SHALLOW_FILE="/nowhere", GIT_LITERAL_PATHSPECS="1",
    )  # fmt: skip
    assert ended == [("crash", "tampered"), KEPT]


def test_a_cache_folder_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    _, ended = attack(tmp_path, "", XDG_CACHE_HOME=str(tmp_path / "link" / "cache"))
    assert ended[-1] == KEPT


def test_a_locale_that_is_not_utf_8(tmp_path: Path) -> None:
    toml = QUICK.replace("The lowest score.", "Größer → schneller.").replace('["knob.py"]', '["knob.py", "größe.py"]')
    _, ended = attack(
        tmp_path, "print('größer')\n", toml, {"größe.py": "x = 1\n"},
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert ended == [("discard", "worse"), KEPT]


def test_an_open_umask_leaves_the_session_private(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r", toml=QUICK)
    write(tmp_path / "patches", {"1.patch": patch("better", "VALUE = 10.0", "VALUE = 9.0")})
    before = os.umask(0)
    try:
        run(repo, "--replay", str(tmp_path / "patches"), expect=0)
    finally:
        os.umask(before)
    trees = trees_folder(place(repo), session(repo).name)
    assert [folder.stat().st_mode & 0o077 for folder in (session(repo).folder, trees)] == [0, 0]


# -- repositories


def sha256(repo: Path) -> Path:
    other = repo.with_name("sha256")
    other.mkdir()
    git(other, "init", "-q", "-b", "main", "--object-format=sha256")
    for path in repo.iterdir():
        if path.name != ".git":
            shutil.copy(path, other)
    git(other, "add", "-A")
    git(other, "commit", "-qm", "start")
    return other


def inside_a_submodule(repo: Path) -> Path:
    outer = make_repo(repo.with_name("outer"), {"x": "1\n"})
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repo), "sub")
    git(outer, "commit", "-qm", "submodule")
    return outer / "sub"


def bare_with_a_worktree(repo: Path) -> Path:
    bare = repo.with_name("bare.git")
    git(repo.parent, "clone", "-q", "--bare", str(repo), str(bare))
    other = repo.with_name("tree")
    git(bare, "worktree", "add", "-q", "-b", "side", str(other))
    return other


def separate_git_dir(repo: Path) -> Path:
    git(repo.parent, "init", "-q", f"--separate-git-dir={repo.with_name('elsewhere.git')}", str(repo))
    return repo


def worktree_config(repo: Path) -> Path:
    git(repo, "config", "extensions.worktreeConfig", "true")
    git(repo, "config", "--worktree", "core.worktree", str(repo))
    git(repo, "config", "--worktree", "core.bare", "false")
    return repo


def sparse(repo: Path) -> Path:
    write(repo, {"big/file": "x\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "more")
    git(repo, "sparse-checkout", "set", "--no-cone", "/*", "!/big/")
    git(repo, "config", "index.sparse", "true")
    return repo


def partial(repo: Path) -> Path:
    git(repo, "config", "uploadpack.allowFilter", "true")
    other = repo.with_name("partial")
    git(repo.parent, "clone", "-q", "--filter=blob:none", f"file://{repo}", str(other))
    return other


def odd_names(repo: Path) -> Path:
    other = repo.rename(repo.with_name("a new\nline and 'quotes' \"too\" $HOME ü"))
    write(other, {"new\nline/tab\t": "x\n", "-rf": "y\n", "CASE": "1\n", "case": "2\n"})
    (other / os.fsdecode(b"latin-\xfc")).write_text("z\n")
    (other / "dangling").symlink_to("nowhere")
    git(other, "add", "-A")
    git(other, "commit", "-qm", "odd names")
    return other


def windows_line_endings(repo: Path) -> Path:
    write(repo, {".gitattributes": "* text=auto eol=crlf\n", "notes.txt": "a\nb\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "line endings")
    shutil.rmtree(repo / ".git" / "autoresearch", ignore_errors=True)
    return repo


def filters(repo: Path) -> Path:
    git(repo, "config", "filter.swap.clean", "tr a b")
    git(repo, "config", "filter.swap.smudge", "tr b a")
    git(repo, "config", "core.attributesFile", str(repo.with_name("attributes")))
    repo.with_name("attributes").write_text("data.txt filter=swap\n")
    write(repo, {"data.txt": "aaa\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "filtered")
    return repo


def encodings(repo: Path) -> Path:
    git(repo, "config", "i18n.commitEncoding", "ISO-8859-1")
    git(repo, "config", "worktree.useRelativePaths", "true")
    git(repo, "config", "core.fileMode", "false")
    git(repo, "config", "core.logAllRefUpdates", "always")
    git(repo, "config", "feature.manyFiles", "true")
    git(repo, "config", "include.path", "/nowhere/at/all")
    return repo


REPOSITORIES: list[Callable[[Path], Path]] = [
    sha256, inside_a_submodule, bare_with_a_worktree, separate_git_dir, worktree_config, sparse, partial, odd_names,
    windows_line_endings, filters, encodings,
]  # fmt: skip
CLONES = (inside_a_submodule, partial)
"""Their commands came from elsewhere."""


@pytest.mark.parametrize("kind", REPOSITORIES, ids=lambda f: f.__name__)
def test_an_odd_repository_works_and_stays_what_it_was(kind: Callable[[Path], Path], tmp_path: Path) -> None:
    repo = kind(make_target(tmp_path / "r", toml=QUICK))
    write(tmp_path / "patches", {"1.patch": patch("größer", "VALUE = 10.0", "VALUE = 9.0")})
    before = snapshot(repo)
    run(repo, "--replay", str(tmp_path / "patches"), *(["--trust"] if kind in CLONES else []), expect=0)
    assert snapshot(repo) == before
    rows = check_agreement(repo).rows
    assert [(row.status, row.cause) for row in rows] == [("keep", "baseline"), KEPT]


def test_a_branch_in_the_way_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r", toml=QUICK)
    git(repo, "branch", "autoresearch")
    refused = run(repo, "--replay", str(tmp_path), expect=2)
    assert "git branch -m autoresearch" in refused.stderr


# -- what is on disk


def test_requests_that_are_no_requests_are_set_aside(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r", toml=QUICK)
    run(repo, "--replay", str(tmp_path), expect=0)
    inbox = session(repo).inbox
    whole = {"id": "1", "kind": "pause", "args": {}, "timestamp": 1 << 50}
    bad = [{"id": []}, {"kind": {}}, {"args": "now"}, {"timestamp": "soon"}, {"args": None}, {"kind": None}]
    for n, wrong in enumerate(bad):
        (inbox / f"{n}.json").write_bytes(orjson.dumps({**whole, **wrong}))
    os.mkfifo(inbox / "pipe.json")
    run(repo, "--replay", str(tmp_path), expect=0)
    assert list(inbox.glob("*.json")) == []


@pytest.mark.parametrize("what", ["live.json", "notebook", "saved state"])
def test_only_the_journal_ends_the_loop_when_it_cannot_be_written(what: str, tmp_path: Path) -> None:
    """A view, a heartbeat or a copy that fails is warned of once and tried again."""
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": QUICK, **files})
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", "11.0")}, {"knob.py": HONEST}])
    run(repo, "--replay", source, "--max-experiments", "1", expect=3)
    opened, kept = session(repo), saved(repo)
    if what == "saved state":
        shutil.rmtree(kept.objects)
        kept.objects.touch()
    else:
        place = opened.live.with_suffix(".tmp") if what == "live.json" else opened.notebook_base
        place.unlink(missing_ok=True)
        place.mkdir()
    run(repo, "--replay", source, expect=0)
    history = check_agreement(repo)
    assert [row.status for row in history.rows] == ["keep", "discard", "keep"]
    assert [notice.code for notice in history.notices].count("files") == 1


# -- kills and errors in rarer places


def ahead(tmp_path: Path) -> tuple[Path, str]:
    """A repository whose next proposal is made beside the measurement, so that a keep puts it onto a new base."""
    files = {"knob.py": KNOB, "bench.py": BENCH, "other.py": "x = 1\n"}
    toml = QUICK.replace('["knob.py"]', '["knob.py", "other.py"]')
    toml = toml.replace('kind = "replay"', 'kind = "replay"\nahead = 1')
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, **files})
    return repo, patches(tmp_path, files, [{"knob.py": HONEST}, {"other.py": "x = 2\n"}, {"other.py": "x = 3\n"}])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_kill_while_a_proposal_moves_to_a_new_base_does_not_try_it_twice(count: int, tmp_path: Path) -> None:
    repo, source = ahead(tmp_path)
    run(repo, "--replay", source, fault=f"after:ref-p#{count}")
    run(repo, "--replay", source, expect=0)
    rows = check_agreement(repo).rows
    assert [row.description for row in rows] == ["baseline", "change 1", "change 2", "change 3"]


@pytest.mark.parametrize(("wish", "cause"), [("overrule", "overruled"), ("retry", "worse")])
def test_a_kill_while_a_persons_wish_is_taken_up_does_not_change_or_repeat_it(
    wish: str, cause: str, tmp_path: Path
) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": QUICK, **files})
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", "11.0")}])
    run(repo, "--replay", source, expect=0)
    more = {"action": "keep", "note": "I know better"} if wish == "overrule" else {}
    session(repo).ask(wish, experiment=2, **more)
    run(repo, "--replay", source, fault="after:ref-p")
    run(repo, "--replay", source, expect=0)
    rows = check_agreement(repo).rows
    assert [row.cause for row in rows] == ["baseline", "worse", cause]


def test_an_open_experiment_whose_proposal_cannot_be_read_is_no_baseline(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": QUICK, **files})
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", "11.0")}])
    run(repo, "--replay", source, fault="after:intent#2")
    journal = session(repo).journal
    told = [line if b'"type":"proposal"' not in line else b"{damaged" for line in journal.read_bytes().split(b"\n")]
    journal.write_bytes(b"\n".join(told))
    run(repo, "--replay", source, expect=0)
    history = session(repo).history()
    assert [row.cause for row in history.rows][:2] == ["baseline", "interrupted"]
    assert history.incumbent
    assert history.incumbent.number == 1


def test_a_candidate_that_prints_costs_neither_ends_the_session_nor_pays_for_it(tmp_path: Path) -> None:
    repo, ended = attack(tmp_path, "print('METRIC cost_usd=-1e300')\n")
    assert ended == [("discard", "worse"), KEPT]
    assert session(repo).history().cost_usd >= 0


def test_words_that_json_or_git_cannot_hold_are_cleaned(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": QUICK, **files})
    source = Path(patches(tmp_path, files, [{"knob.py": HONEST}]))
    text = (source / "01.patch").read_bytes()
    (source / "01.patch").write_bytes(
        text.replace(b"Subject: change 1\n\n", b"Subject: gr\xf6\xdfer\x00\x1b[31m\n\n\xff\x00 why\n")
    )
    run(repo, "--replay", str(source), expect=0)
    assert [(row.status, row.cause) for row in check_agreement(repo).rows][1:] == [KEPT]


def test_the_tuner_leaves_numbers_alone_that_json_cannot_hold(tmp_path: Path) -> None:
    knob = "BIG = 1000000000000000000000000000\nHUGE = 1e400\nMASK = 0xFFFFFFFFFFFFFFFF\nVALUE = 10.0\n"
    files = {"knob.py": knob, "bench.py": BENCH}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": QUICK.replace('"replay"', '"tuner"'), **files})
    run(repo, "--max-experiments", "12", expect=3)
    assert len(check_agreement(repo).rows) == 12


@pytest.mark.parametrize("how", ["crlf", "latin-1", "nul"])
def test_a_notebook_that_an_odd_editor_saved(how: str, tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": QUICK, **files})
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", "11.0")}, {"knob.py": HONEST}])
    run(repo, "--replay", source, "--max-experiments", "1", expect=3)
    session(repo).ask("idea", text="try more")
    run(repo, "--replay", source, "--max-experiments", "1", expect=3)
    notebook = session(repo).notebook
    text = notebook.read_text()
    if how == "crlf":
        notebook.write_bytes(text.replace("\n", "\r\n").encode())
    elif how == "latin-1":
        notebook.write_bytes((text + "größer\n").encode("latin-1", "replace"))
    else:
        notebook.write_bytes(text.encode() + b"\0\0\0\n")
    run(repo, "--replay", source, expect=0)
    history = check_agreement(repo)
    assert [row.status for row in history.rows] == ["keep", "discard", "keep"]
    assert [(idea.text, idea.state) for idea in history.ideas.values()] == [("try more", "open")]


def test_a_candidate_cannot_change_how_git_writes_protected_files(tmp_path: Path) -> None:
    """`.gitattributes` decides what every other file becomes when it is checked out."""
    files = {"knob.py": KNOB, "bench.py": BENCH, "words.txt": "a\nb\n"}
    bench = BENCH + "assert open('words.txt', 'rb').read() == b'a\\nb\\n'\n"
    files["bench.py"] = bench
    toml = QUICK.replace('["knob.py"]', '["**", "!bench.py", "!words.txt"]')
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, **files})
    source = patches(tmp_path, files, [{".gitattributes": "words.txt text eol=crlf\n", "knob.py": HONEST}])
    text = Path(source, "01.patch")
    text.write_text(text.read_text().replace("--- a/.gitattributes", "new file mode 100644\n--- /dev/null"))
    run(repo, "--replay", source, expect=0)
    rows = check_agreement(repo).rows
    assert (rows[1].status, rows[1].warnings) == ("keep", 1)
    assert git(repo, "diff", "--name-only", "main", session(repo).branch).split() == ["knob.py"]
