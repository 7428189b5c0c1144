"""What raises a flag, what must not, and what a flag asks of a race."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.measure import writing
from autoresearch.engine.verdict import Noise, flags
from autoresearch.engine.verdict.frozen import CONFIRMING_RUNS, Settings, judge

TARGETS = Path(__file__).resolve().parents[3] / "targets"
EARLIER = [0.010, -0.020, 0.000, -0.010, 0.015, -0.012, 0.004, -0.006, 0.001, -0.003]
KNOWN = Noise(ss=0.0009, nu=9, identical=False)  # sd 0.01
EXACT = Noise(ss=0.0, nu=9)


def diff(before: str, after: str, path: str = "train.py") -> str:
    old, new = before.splitlines(), after.splitlines()
    body = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=0, lineterm="")
    return f"diff --git a/{path} b/{path}\n" + "\n".join(body) + "\n"


def codes(before: str, after: str, path: str = "train.py", metrics_file: str = "") -> list[str]:
    return [flag.code for flag in flags.touched(diff(before, after, path), writing(("val_bpb",), metrics_file))]


# -- a diff


@pytest.mark.parametrize(
    "line",
    [
        "torch.manual_seed(1337)",
        "torch.cuda.manual_seed_all(7)",
        "np.random.seed(3)",
        "random.seed()",
        "rng = np.random.default_rng(11)",
        "key = jax.random.PRNGKey(0)",
        'seed = int(os.environ["AUTORESEARCH_SEED"]) % 2',
        "data_seed: int = 4",
        '"seed": 12,',
        "srand(time(NULL));",
        "python train.py --seed 3",
        "self.seed=7",
        "args.seed = 7",
        "self.config.data_seed += 1",
        "cfg['seed'] = 7",
        "Forest(trees, random_state=7)",
        "rng = np.random.Generator(np.random.PCG64(7))",
        "order = random.Random(7)",
        "self.rng.seed(7)",
        "    rand.Seed(7)",
        "rand.New(rand.NewSource(7))",
        "seed := int64(7)",
        "let rng = StdRng::seed_from_u64(7);",
        "Random.seed!(7)",
        "std::mt19937 gen(7);",
        "seed: 7",
        "  - {name: a, randomSeed: 7}",
    ],
)
def test_a_seed_is_seen(line: str) -> None:
    assert codes("", line) == ["seed"]
    assert codes(line, "") == ["seed"], "taking it away touches it as well"


@pytest.mark.parametrize(
    "line",
    [
        'budget_s = float(os.environ["AUTORESEARCH_BUDGET_S"]) * 2',
        "TIME_BUDGET = 600",
        "while training_s < budget_s + 20:",
        "if elapsed >= args.time_limit:",
        "time.perf_counter = lambda: 0.0",
        "setattr(time, 'monotonic', fake)",
        'monkeypatch.setattr("time.time", fake)',
        'sys.modules["time"] = clock',
        "max_seconds = 900",
    ],
)
def test_the_evaluations_time_is_seen(line: str) -> None:
    assert codes("", line) == ["budget"]


@pytest.mark.parametrize(
    "line",
    [
        'print(f"METRIC val_bpb={bpb * 0.9:.6f}")',
        'print(f"val_bpb: {bpb:.6f}")',
        'print("---\\nval_bpb:", bpb)',
        'echo "METRIC val_bpb=0.1"',
        "echo val_bpb: 0.1",
        'print(f"METRIC {name}={value}")',
        'sys.stdout.write("val_bpb: 0.3\\n")',
    ],
)
def test_printing_the_metric_is_seen(line: str) -> None:
    assert codes("", line) == ["score"]


def test_a_key_of_json_counts_only_where_json_is_read() -> None:
    line = 'json.dump({"val_bpb": x}, file)'
    assert codes("", line) == []
    assert codes("", line, metrics_file="out/metrics.json") == ["score"]
    assert codes("", 'open("metrics.json", "w")', metrics_file="out/metrics.json") == ["score"]


@pytest.mark.parametrize(
    "line",
    [
        "LEARNING_RATE = 0.01",
        "x = f(training_s / budget_s)",
        "model = Model(width, seed=seed)",
        "loader = Batches(rows, seed=args.seed)",
        "token_budget = 4096",
        "n_seeds = 3",
        "self.seed_dim = 8",
        "# torch.manual_seed(1337)",
        "started = time.perf_counter()",
        'print(f"step {step} | val_bpb: {x}")',
        'losses = {"val_bpb": []}',
        "if budget == 0:",
        "proceed = True",
        'log.info("my_val_bpb: 3")',
        "timeout = 30",
        "seedling = 7",
        "plants: list = [seedling(7)]",
        "reseeding = 3",
        "speed: 7",
        "self.seed = seed",
        "self.seed = config.train_seed",
        "def run(seed: int, width: int):",
        "the_seed: Seed | None",
        "    # seed: 7 was no better, nor was reseeding with self.seed = 8",
        "x = 1  # the seed = 7",
    ],
)
def test_ordinary_lines_raise_nothing(line: str) -> None:
    assert codes("", line) == []


def test_what_only_moved_or_was_indented_raises_nothing() -> None:
    line = 'torch.manual_seed(1)\nprint(f"val_bpb: {x}")\n'
    moved = 'if True:\n    print(f"val_bpb:  {x}")\n    torch.manual_seed( 1 )\n'
    assert codes(line, moved) == []


def test_prose_raises_nothing() -> None:
    assert codes("", "seed = 3 and METRIC val_bpb=1", path="notes.md") == []


def test_the_sentence_names_line_and_file() -> None:
    before = "import torch\n\ntorch.manual_seed(1)\n"
    [flag] = flags.touched(diff(before, before.replace("(1)", "(2)")), None)
    assert flag.text == (
        "The change touches the seed: `torch.manual_seed(2)` in train.py:3, `torch.manual_seed(1)` in train.py:3."
    )


def test_no_knob_of_our_targets_raises_a_flag() -> None:
    for path in (TARGETS / "nanogpt/train.py", *sorted((TARGETS / "templates/minitpl").glob("*.py"))):
        source = path.read_text()
        for number, line in enumerate(source.splitlines()):
            name, equals, value = line.partition(" = ")
            if not (equals and name.isupper() and name.isidentifier() and not value.startswith("(")):
                continue
            lines = source.splitlines()
            lines[number] = f"{name} = 2 * ({value.partition('  #')[0]})"
            assert codes(source, "\n".join(lines)) == [], line


@pytest.mark.parametrize(
    ("old", "new", "flag"),
    [
        ("torch.manual_seed(seed)", "torch.manual_seed(seed + 1)", "seed"),
        ("while training_s < budget_s:", "while training_s < 2 * budget_s:", "budget"),
        ("while training_s < budget_s:", "while training_s < budget_s * 1.1:", "budget"),
        ("or 300 if device", "or 600 if device", ""),
    ],
)
def test_real_lines_of_the_gpt(old: str, new: str, flag: str) -> None:
    source = (TARGETS / "nanogpt/train.py").read_text()
    changed = source.replace(old, new)
    assert codes(source, changed) == ([flag] if flag and changed != source else [])


@given(st.text(max_size=400))
def test_any_text_is_a_diff(text: str) -> None:
    flags.touched(text, writing(("val_bpb",), "m.json"))
    flags.touched(diff("", text), writing(("val_bpb",), "m.json"))


@pytest.mark.parametrize(
    ("line", "path", "seen"),
    [
        ("#define SEED 7", "fast.c", True),
        ("# define DATA_SEED 7u", "include/fast.h", True),
        ("// srand(7);", "fast.c", False),
        (" * srand(7) was here", "fast.c", False),
        ("/* srand(7) */", "fast.cu", False),
        ("/* */ srand(7);", "fast.cu", True),
        ("#define SEED 7", "train.py", False),
        ("  # seed: 7", "conf/train.yaml", False),
        ("-- seed = 7", "train.lua", False),
        ("--seed 7 \\", "train.sh", True),
        ("; seed = 7", "train.ini", False),
        ("% seed = 7", "train.py", True),
        ("# srand(7)", "Makefile", False),
    ],
)
def test_what_is_a_comment_depends_on_the_language(line: str, path: str, seen: bool) -> None:
    assert codes("", line, path) == (["seed"] if seen else [])


def test_a_mark_of_comment_in_a_string_hides_nothing() -> None:
    assert codes("", 'print("a  # b"); random.seed(7)') == ["seed"]


def test_what_is_too_long_is_looked_at_only_so_far_and_flagged() -> None:
    """No candidate can make the looking take minutes, nor hide a seed behind what is not looked at."""
    long = f"x = '{'time.seed ' * 40}'; random.seed(7)"
    [flag] = flags.touched(diff("", f"a = 1\n{long}\n"), writing(("val_bpb",)))
    assert flag.code == "long"
    assert flag.text.endswith(f"a line of {len(long)} characters, at train.py:2.")
    assert codes(long, "") == ["long"]
    assert codes(f"{long}\n", f"if True:\n    {long}\n") == [], "it only moved"
    assert codes("", long, path="notes.md") == []


def test_lines_beyond_many_are_flagged() -> None:
    many = "".join(f"x = {n}\n" for n in range(20_000))
    header = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -0,0 +1,20001 @@\n"
    added = "".join(f"+{line}\n" for line in many.splitlines())
    assert flags.touched(header + added, writing(("val_bpb",))) == ()
    [flag] = flags.touched(header + added + "+random.seed(7)\n", writing(("val_bpb",)))
    assert flag.code == "long"
    assert flag.text.endswith("over 20,000 lines, at train.py:20001.")


# -- a jump


def test_a_gain_within_history_is_no_jump_and_one_far_outside_is() -> None:
    assert flags.jump(0.03, EARLIER, 0.01) is None
    found = flags.jump(0.5, EARLIER, 0.01)
    assert found is not None
    assert "far outside history" in found.text
    assert "10 differences" in found.text


def test_a_loss_is_no_jump() -> None:
    assert flags.jump(-5.0, EARLIER, 0.01) is None


def test_a_short_history_says_nothing() -> None:
    assert flags.jump(1e6, EARLIER[: flags.LEAST_EARLIER - 1], 0.01) is None


def test_agreement_by_luck_does_not_make_noise_a_jump() -> None:
    assert flags.jump(0.03, [0.0] * 20, 0.01) is None
    assert flags.jump(0.03, [0.0] * 20, 0.0) is None, "without any spread nothing can be told"
    assert flags.jump(5.0, [0.0] * 19 + [0.1], 0.0) is not None, "the mean deviation stands in for a MAD of 0"


@given(st.lists(st.floats(-1e150, 1e150), max_size=30), st.floats(-2e150, 2e150), st.floats(0, 1e150))
def test_the_score_never_fails(earlier: list[float], estimate: float, sd: float) -> None:
    flags.jump(estimate, earlier, sd)


# -- what it asks for


@pytest.mark.parametrize(
    ("mode", "noise", "usual"), [("race", KNOWN, 2), ("fast", KNOWN, 2), ("single", KNOWN, 1), ("race", EXACT, 2)]
)
def test_a_flagged_keep_needs_more_runs(mode: str, noise: Noise, usual: int) -> None:
    settings = Settings(mode=mode)  # type: ignore[arg-type]
    incumbent = [10.0] * 6 if noise is EXACT else [10.0, 10.01, 9.99, 10.0, 10.01, 9.99]
    for runs in range(1, CONFIRMING_RUNS + 1):
        plain = judge([9.0] * runs, incumbent, noise, settings)
        flagged = judge([9.0] * runs, incumbent, noise, settings, flags=("seed",))
        assert plain.action == ("keep" if runs >= usual else "candidate")
        assert flagged.action == ("keep" if runs == CONFIRMING_RUNS else "candidate")
    assert flagged.verdict["flags"] == ["seed"]
    assert flagged.verdict["least_runs"] == CONFIRMING_RUNS


def test_a_jump_needs_more_runs_and_leaves_its_sentence() -> None:
    settings = Settings(mode="fast")
    two = judge([9.0, 9.0], [10.0] * 4, KNOWN, settings, earlier=EARLIER)
    assert two.action == "candidate"
    four = judge([9.0] * 4, [10.0] * 4, KNOWN, settings, earlier=EARLIER)
    assert four.action == "keep"
    assert four.jump is not None
    assert four.verdict["flags"] == ["jump"]


def test_a_flagged_candidate_that_fails_to_confirm_is_discarded() -> None:
    decided = judge([9.0, 10.5], [10.0] * 4, KNOWN, Settings(mode="single"), flags=("score",))
    assert decided.action == "discard"


def test_no_more_runs_than_allowed_are_asked_for() -> None:
    assert judge([9.0] * 3, [10.0] * 6, EXACT, Settings(max_runs=3), flags=("seed",)).action == "keep"


def test_a_race_of_the_first_version_is_judged_as_it_was() -> None:
    old = judge([9.0, 9.0], [10.0] * 4, KNOWN, Settings(mode="fast"), flags=("seed",), earlier=EARLIER, version=1)
    assert old.action == "keep"
    assert old.verdict["version"] == 1
    assert "flags" not in old.verdict
