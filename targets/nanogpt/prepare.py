"""Data, tokenizer and score of the `nanogpt` target. Protected: an experiment may not change this file.

    python prepare.py [--data stdlib|tinystories|fineweb-edu|climbmix|PATH] [--size auto|small|large] [--shards N]
    python prepare.py evaluate

The first command leaves training tokens and a tokenizer in `data/`, and no validation text: the second finds that again
at its source and scores `train.py` from a process of its own (`evaluator.py` says what that guarantees). The standard
library and a folder of yours are split by a hash of each document; of a public corpus one file is held out, in
`heldout/` of the download cache, which is in no tree.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import multiprocessing
import os
import re
import struct
import sys
import sysconfig
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
MODEL = HERE / "out" / "model.pt"
"""The one file of a training run that the evaluation sees."""


@dataclass(frozen=True, slots=True)
class Size:
    """What is prepared and scored. Scores of different sizes or sources do not compare."""

    vocab: int
    """Tokenizer entries, the document mark included; at most 65,536: tokens are stored in two bytes."""
    context: int
    """Length in tokens of the windows that are scored."""
    train_bytes: int
    eval_tokens: int


SIZES = {
    "small": Size(vocab=1024, context=256, train_bytes=8_000_000, eval_tokens=65_536),
    "large": Size(vocab=8192, context=2048, train_bytes=2_000_000_000, eval_tokens=262_144),
}
TOKENIZER_BYTES = 4_000_000
"""Text the tokenizer is trained on."""
VALIDATION_SHARE = 16
"""One document in this many is for validation, by the hash of its bytes: copies of a file stay on one side."""
VALIDATION_BYTES_A_DOCUMENT = 16_384
"""At most this much of each document is scored, so that no long one dominates."""
FEWEST_WINDOWS = 32
"""To score by."""


class PrepareError(Exception):
    """Said to the user as one line."""


# ---------------------------------------------------------------------------------------- what train.py uses


@dataclass(frozen=True, slots=True)
class Task:
    """What was prepared: `data/task.json`."""

    source: str
    vocab: int
    context: int
    train_bytes: int
    eval_tokens: int
    train_tokens: int
    bytes_per_token: float
    """Of the training text; turns nats per token into roughly bits per byte while training."""


def load_task() -> Task:
    try:
        return Task(**json.loads((DATA / "task.json").read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise PrepareError(f"{DATA} holds no prepared data ({error}); run: python prepare.py") from error


def load_train_tokens() -> np.ndarray:
    """All training tokens in one row, each document behind a mark (the highest token); uint16, not in memory yet."""
    return np.memmap(DATA / "train.bin", dtype="<u2", mode="r")


REQUEST = struct.Struct("<II")
HELLO = b"nanogpt1"


def serve(predict: Callable[[np.ndarray], np.ndarray], argv: list[str]) -> None:
    """The candidate's side of the evaluation; `train.py serve IN OUT` ends up here.

    Over two pipes that the evaluator made: the bytes of HELLO first, then for each request (rows and length as two
    little-endian uint32, then rows x length tokens as uint16) exactly rows x length x vocab logits as float32, where
    position i holds the prediction of token i + 1. Logits need not be normalised. A request of no rows is the end.
    """
    with os.fdopen(int(argv[0]), "rb") as requests, os.fdopen(int(argv[1]), "wb", buffering=0) as answers:
        answers.write(HELLO)
        while header := requests.read(REQUEST.size):
            rows, length = REQUEST.unpack(header)
            if rows == 0:
                break
            tokens = np.frombuffer(requests.read(rows * length * 2), dtype="<u2").reshape(rows, length)
            view = memoryview(np.ascontiguousarray(predict(tokens), dtype="<f4")).cast("B")
            while view:
                view = view[answers.write(view) :]


# ------------------------------------------------------------------------------------------------- tokenizer

WORDS = re.compile(rb"\n[ \t]*| ?[A-Za-z]+| ?[0-9]{1,3}| ?[^\sA-Za-z0-9]+|\s+")
CACHED_WORDS = 1_000_000


class Tokenizer:
    """Byte-pair encoding: tokens 0 to 255 are the bytes, each merge adds one, the last token marks a document."""

    def __init__(self, merges: list[tuple[int, int]]) -> None:
        self.merges = merges
        self.bos = 256 + len(merges)
        self.vocab = self.bos + 1
        self._new = {pair: 256 + rank for rank, pair in enumerate(merges)}
        self._words: dict[bytes, array[int]] = {}

    @classmethod
    def load(cls) -> Tokenizer:
        return cls([(left, right) for left, right in json.loads((DATA / "tokenizer.json").read_bytes())])

    @classmethod
    def train(cls, text: bytes, vocab: int) -> Tokenizer:
        """Greedy merges of the most frequent pair; of equal ones the highest, so the result never varies."""
        counts = Counter(WORDS.findall(text))
        frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:60_000]
        words = [list(word) for word, _ in frequent]
        weights = [count for _, count in frequent]
        pairs: Counter[tuple[int, int]] = Counter()
        where: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for index, word in enumerate(words):
            for pair in pairwise(word):
                pairs[pair] += weights[index]
                where[pair].add(index)
        # Counts only fall while they wait in the queue, except of pairs that a merge makes: those are pushed anew.
        queue = [(-count, pair) for pair, count in pairs.items()]
        heapq.heapify(queue)
        merges: list[tuple[int, int]] = []
        while queue and len(merges) < vocab - 257:
            negative, pair = heapq.heappop(queue)
            if pairs[pair] != -negative:
                if pairs[pair] > 0:
                    heapq.heappush(queue, (-pairs[pair], pair))
                continue
            token = 256 + len(merges)
            merges.append(pair)
            made: set[tuple[int, int]] = set()
            for index in where.pop(pair):
                for old in pairwise(words[index]):
                    pairs[old] -= weights[index]
                words[index] = _merge(words[index], pair, token)
                for new in pairwise(words[index]):
                    pairs[new] += weights[index]
                    if token in new:
                        where[new].add(index)
                        made.add(new)
            pairs[pair] = 0
            for new in made:
                heapq.heappush(queue, (-pairs[new], new))
        return cls(merges)

    def encode(self, text: bytes) -> array[int]:
        tokens = array("H")
        for word in WORDS.findall(text):
            known = self._words.get(word)
            if known is None:
                if len(self._words) >= CACHED_WORDS:
                    self._words.clear()
                known = self._words[word] = self._encode_word(word)
            tokens += known
        return tokens

    def encode_document(self, text: bytes) -> array[int]:
        return array("H", [self.bos]) + self.encode(text)

    def _encode_word(self, word: bytes) -> array[int]:
        parts = list(word)
        while len(parts) > 1:
            token, pair = min((self._new.get(pair, 65_536), pair) for pair in pairwise(parts))
            if token == 65_536:
                break
            parts = _merge(parts, pair, token)
        return array("H", parts)

    def byte_lengths(self) -> np.ndarray:
        """Bytes per token; the document mark stands for none and is not scored."""
        lengths = [1] * 256
        for left, right in self.merges:
            lengths.append(lengths[left] + lengths[right])
        return np.array([*lengths, 0], dtype=np.int64)


def _merge(parts: list[int], pair: tuple[int, int], token: int) -> list[int]:
    merged: list[int] = []
    position, last = 0, len(parts) - 1
    while position <= last:
        if position < last and (parts[position], parts[position + 1]) == pair:
            merged.append(token)
            position += 2
        else:
            merged.append(parts[position])
            position += 1
    return merged


# --------------------------------------------------------------------------------------------------- corpora


@dataclass(frozen=True, slots=True)
class Hub:
    """A public corpus as numbered parquet files; the last one is held out."""

    url: str
    files: int
    default_shards: int


_DATASETS = "https://huggingface.co/datasets"
HUBS = {
    "fineweb-edu": Hub(f"{_DATASETS}/karpathy/fineweb-edu-100b-shuffle/resolve/main/shard_{{:05d}}.parquet", 1823, 8),
    "climbmix": Hub(f"{_DATASETS}/karpathy/climbmix-400b-shuffle/resolve/main/shard_{{:05d}}.parquet", 6543, 8),
    "tinystories": Hub(
        f"{_DATASETS}/roneneldan/TinyStories/resolve/refs%2Fconvert%2Fparquet/default/train/{{:04d}}.parquet", 4, 3
    ),
}


def cache_folder() -> Path:
    """Downloads; `heldout/` below it is what a session's `hidden` should name. Under the account's home rather than
    `$HOME`, since the commands of one session may each be given another `$HOME`."""
    moved = os.environ.get("NANOGPT_CACHE")
    return Path(moved).absolute() if moved else Path("~" + _user()).expanduser() / ".cache" / "autoresearch-nanogpt"


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def heldout_folder(source: str) -> Path | None:
    """What a confined candidate may not read; None for the library, without which Python does not run."""
    if source == "stdlib":
        return None
    return cache_folder() / "heldout" if source in HUBS else Path(source)


def documents(source: str, *, validation: bool) -> Iterator[bytes]:
    """One side of the split, in an order that never varies."""
    if source in HUBS:
        folder = cache_folder() / ("heldout" if validation else "train") / source
        files = sorted(folder.glob("*.parquet"))
        if not files:
            raise PrepareError(f"{folder} holds no parquet file; run: python prepare.py --data {source}")
        yield from _texts(files)
        return
    for text in _texts(_source_files(source)):
        for document in [text] if source == "stdlib" else _pieces(text):
            chosen = int.from_bytes(hashlib.sha256(document).digest()[:4], "big") % VALIDATION_SHARE == 0
            if chosen == validation and document.strip():
                yield document


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cuts a long text at ends of lines: a corpus may be one file, and still has to have two sides."""
    piece = bytearray()
    for line in text.splitlines(keepends=True):
        piece += line
        if len(piece) >= VALIDATION_BYTES_A_DOCUMENT:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def validation_tokens(source: str, tokenizer: Tokenizer, wanted: int) -> np.ndarray:
    """The first `wanted` tokens to score by, or all there are. Never written down."""
    parts = [np.empty(0, dtype=np.uint16)]
    found = 0
    for text in documents(source, validation=True):
        parts.append(np.array(tokenizer.encode_document(text[:VALIDATION_BYTES_A_DOCUMENT]), dtype=np.uint16))
        found += len(parts[-1])
        if found >= wanted:
            break
    return np.concatenate(parts)[:wanted]


def _source_files(source: str) -> list[Path]:
    """Files of the standard library or of a folder, in the order of their names' hashes: any first part is a fair
    sample. Left out of the library: installed packages, and tables that are not code."""
    root = Path(sysconfig.get_path("stdlib")) if source == "stdlib" else Path(source)
    if not root.is_dir():
        known = ", ".join(["stdlib", *HUBS])
        raise PrepareError(f"--data {source}: neither a folder nor one of {known}")
    left_out = {"site-packages", "dist-packages", "__pycache__", "encodings", "pydoc_data"}
    suffixes = (".py",) if source == "stdlib" else (".txt", ".md", ".py", ".parquet")
    files: list[Path] = []
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if source != "stdlib" or name not in left_out]
        files += [Path(place, name) for name in names if name.endswith(suffixes)]
    return sorted(files, key=lambda file: hashlib.sha256(file.relative_to(root).as_posix().encode()).digest())


def _texts(files: list[Path]) -> Iterator[bytes]:
    for file in files:
        if file.suffix != ".parquet":
            yield file.read_bytes()
            continue
        try:
            import pyarrow.parquet as parquet
        except ImportError as error:
            raise PrepareError(f"reading {file.name} needs pyarrow; run: pip install pyarrow") from error
        for batch in parquet.ParquetFile(file).iter_batches(columns=["text"]):
            for text in batch.column(0):
                yield text.as_py().encode()


def download(source: str, shards: int) -> None:
    hub = HUBS[source]
    last = hub.files - 1
    for number in [last, *range(min(shards or hub.default_shards, last))]:
        file = cache_folder() / ("heldout" if number == last else "train") / source / f"{number:05d}.parquet"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _fetch(hub.url.format(number), file)


def _fetch(url: str, file: Path) -> None:
    import shutil
    import urllib.request

    print(f"fetching {url}", flush=True)
    partial = file.with_suffix(f".{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, partial.open("wb") as out:
            shutil.copyfileobj(answer, out, 1 << 20)
        if partial.stat().st_size != int(answer.headers.get("Content-Length") or partial.stat().st_size):
            raise PrepareError(f"{url} broke off; run the same command again")
        partial.replace(file)
    except OSError as error:
        raise PrepareError(
            f"cannot fetch {url} ({error}); check the network, or use --data stdlib or --data FOLDER"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


# --------------------------------------------------------------------------------------------------- prepare


def prepare(source: str, size: Size, shards: int) -> Task:
    if source in HUBS:
        download(source, shards)
    elif source != "stdlib":
        source = str(Path(source).resolve())
    sample = bytearray()
    for text in documents(source, validation=False):
        sample += text
        if len(sample) >= TOKENIZER_BYTES:
            break
    tokenizer = Tokenizer.train(bytes(sample), size.vocab)
    DATA.mkdir(exist_ok=True)
    (DATA / "tokenizer.json").write_text(json.dumps(tokenizer.merges))
    (DATA / "task.json").unlink(missing_ok=True)
    needed = FEWEST_WINDOWS * (size.context + 1)
    if len(validation_tokens(source, tokenizer, needed)) < needed:
        raise PrepareError(f"--data {source}: too little text to set some aside for judging; give a few megabytes")
    text_bytes, train_tokens = _write_tokens(tokenizer, documents(source, validation=False), size.train_bytes)
    task = Task(
        source=source,
        vocab=tokenizer.vocab,
        context=size.context,
        train_bytes=text_bytes,
        eval_tokens=size.eval_tokens,
        train_tokens=train_tokens,
        bytes_per_token=text_bytes / train_tokens,
    )
    (DATA / "task.json").write_text(json.dumps(asdict(task), indent=1) + "\n")
    return task


def _write_tokens(tokenizer: Tokenizer, texts: Iterator[bytes], limit: int) -> tuple[int, int]:
    """Encodes up to `limit` bytes into `train.bin`; returns bytes and tokens."""
    seen = tokens = 0

    def within_limit() -> Iterator[bytes]:
        nonlocal seen
        for text in texts:
            if seen >= limit:
                return
            seen += len(text)
            yield text

    def encoded() -> Iterable[bytes]:
        if limit < 100_000_000:
            return (tokenizer.encode_document(text).tobytes() for text in within_limit())
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        pool = context.Pool(initializer=_start_worker, initargs=(tokenizer.merges,))
        return pool.imap(_encode_in_worker, within_limit(), chunksize=64)

    with (DATA / "train.bin").open("wb") as out:
        for part in encoded():
            out.write(part)
            tokens += len(part) // 2
    return seen, tokens


_worker_tokenizer: Tokenizer


def _start_worker(merges: list[tuple[int, int]]) -> None:
    global _worker_tokenizer
    _worker_tokenizer = Tokenizer(merges)


def _encode_in_worker(text: bytes) -> bytes:
    return _worker_tokenizer.encode_document(text).tobytes()


def _best_size() -> str:
    import torch

    return "large" if torch.cuda.is_available() else "small"


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare the data of the nanogpt target, or score a trained model.")
    parser.add_argument("command", nargs="?", choices=["prepare", "evaluate"], default="prepare")
    parser.add_argument("--data", default="stdlib", help=f"stdlib, {', '.join(HUBS)}, or a folder of text or parquet")
    parser.add_argument("--size", default="auto", choices=["auto", *SIZES], help="auto: large with an NVIDIA GPU")
    parser.add_argument("--shards", type=int, default=0, help="files of a public corpus to train on")
    arguments = parser.parse_args()
    try:
        if arguments.command == "evaluate":
            import evaluator

            evaluator.evaluate()
            return
        size = SIZES[_best_size() if arguments.size == "auto" else arguments.size]
        task = prepare(arguments.data, size, arguments.shards)
        print(f"{task.train_tokens:,} training tokens of {task.source}, {task.vocab} in the vocabulary")
    except PrepareError as error:
        sys.exit(f"prepare.py: {error}")


if __name__ == "__main__":
    main()
