"""What is known to be a key, and what becomes of a text that holds one."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from repos import TOML, git, make_target, write

from autoresearch.engine.secrets import Secrets, in_environment, known_secrets
from autoresearch.state.config import config as configs
from autoresearch.state.session import find_place

KEY = "sk-Zq8/7f+3kLm0Xw2Vb9Tt"
PEM = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\nAgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4"


def in_words(value: str) -> dict[str, str]:
    return {
        "as it is": f"ValueError: {value}",
        "twice": f"{value} {value}",
        "cut at its end": f"ValueError: {value[:-3]}…",
        "cut at its beginning": f"…{value[3:]} is no number",
        "inside a word": f"x{value}x",
        "in bytes": repr(f"\n{value}\n".encode()),
        "in an address": f"https://h/?k={quote(value, safe='')}",
        "encoded": b64encode(value.encode()).decode(),
        "encoded behind a name": b64encode(f"name:{value}".encode()).decode(),
        "as hexadecimal": value.encode().hex(),
    }


@pytest.mark.parametrize("form", in_words(KEY))
def test_a_key_is_struck_out_in_every_form(form: str) -> None:
    said = Secrets([KEY]).scrub(in_words(KEY)[form])
    assert "[redacted]" in said
    left = set(said.split("[redacted]"))
    for piece in (KEY, quote(KEY, safe=""), b64encode(KEY.encode()).decode(), KEY.encode().hex()):
        assert not any(piece[at : at + 12] in text for at in range(len(piece) - 11) for text in left)


def test_of_a_value_of_several_lines_each_is_struck_out() -> None:
    said = Secrets([PEM]).scrub("first " + PEM.replace("\n", " then ") + " last")
    assert said == "first [redacted] then [redacted] last"


@pytest.mark.parametrize(
    "value", ["", "short", "production", "123456789012", "/etc/ssl/ca.pem", "https://example.org/x"]
)
def test_what_may_be_an_ordinary_word_stays(value: str) -> None:
    text = f"it says {value} and ------------ and 000000000000"
    assert Secrets([value, "-" * 20, "0a" * 10]).scrub(text) == text


def test_no_secret_is_shown_by_who_knows_it() -> None:
    assert KEY not in repr(Secrets([KEY]).including(["another-Key-1"]))


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("MY_TOKEN", "Tok3n-4711", {"Tok3n-4711"}),
        ("DATABASE_URL", "postgres://app:Pa55%2Fword@db/main", {"Pa55%2Fword", "Pa55/word"}),
        ("HTTPS_PROXY", "http://proxy.example.org:3128", set()),
        ("GCP_KEY", '{"type": "account", "private_key": "Zx81-Zx82-Zx83"}', {"Zx81-Zx82-Zx83"}),
        ("ANTHROPIC_CUSTOM_HEADERS", "X-Gate: Open-Sesame\nX-Other: Barley-42", {"Open-Sesame", "Barley-42"}),
        ("TOKENIZER_NAME", "bert-base-Uncased", set()),
        ("EDITOR", "Visual-Studio-2022", set()),
    ],
)
def test_a_variable_tells_what_is_secret_by_its_name_or_its_form(name: str, value: str, held: set[str]) -> None:
    known = Secrets(in_environment({name: value}))
    for secret in held:
        assert known.scrub(f"it is {secret}") == "it is [redacted]"
    for word in ("private_key", "account", "postgres", "bert-base-Uncased", "Visual-Studio-2022", "proxy.example.org"):
        assert known.scrub(word) == word


def test_what_lies_in_files_of_keys_is_known(tmp_path: Path) -> None:
    home, repo = tmp_path / "home", make_target(tmp_path / "r")
    write(home, {
        ".netrc": "machine api.example.org login me password Netrc-Secret-1\n",
        ".aws/credentials": "[default]\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG\nregion = eu-central-1\n",
        ".azure/tokens/a.json": '{"accessToken": "Azure-Secret-7"}',
        ".git-credentials": "https://me:Stored-Secret-2@github.com\n",
        ".pgpass": "db.example.org:5432:main:app:Pg-Secret-3\n",
        ".ssh/id_ed25519": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PEM}\n-----END OPENSSH PRIVATE KEY-----\n",
        ".cache/huggingface/token": "hf-Plain-Token-4",
        ".bash_history": "export API_KEY=History-Secret-5\ngit show 0123456789abcdef0123456789abcdef01234567\n",
        ".agent/auth.json": '{"refresh_token": "Agent-Secret-6", "id": "main-account"}',
        ".bashrc": "alias ll='ls -l'\nexport OPENAI_API_KEY=Profile-Secret-12\n",
        ".gitconfig": "[credential]\n\thelper = store\n[user]\n\tname = Somebody Important\n",
    })  # fmt: skip
    write(repo, {
        ".env": "export API_KEY='Env-Secret-8'\nMODEL=fineweb-edu-sample-10BT\n",
        "part/.env.local": "PASSWORD: Part-Secret-9\n",
        ".envrc": "export LICENSE_KEY=Envrc-Secret-13\n",
        ".env.example": "API_KEY=Example-Value-1\n",
        "held/labels.csv": "0012345678901234,Cat-and-Dog\n",
        "held/access.toml": 'token = "Hidden-Secret-10"\n',
    })  # fmt: skip
    git(repo, "remote", "add", "origin", "https://me:Remote-Secret-11@example.org/x.git")
    config = configs.with_change(configs.loads(TOML), "measure.hidden", ["held"], "test")
    known = known_secrets(find_place(repo), config, {"HOME": str(home)}, [home / ".agent"])
    secret = ["Netrc-Secret-1", "wJalrXUtnFEMI/K7MDENG", "Stored-Secret-2", "Pg-Secret-3", *PEM.splitlines(),
              "hf-Plain-Token-4", "History-Secret-5", "Agent-Secret-6", "Azure-Secret-7", "Env-Secret-8",
              "Part-Secret-9", "Hidden-Secret-10", "Remote-Secret-11", "Profile-Secret-12",
              "Envrc-Secret-13"]  # fmt: skip
    assert [one for one in secret if known.scrub(f"it is {one}.") != "it is [redacted]."] == []
    plain = ["0123456789abcdef0123456789abcdef01234567", "machine api.example.org", "aws_secret_access_key",
             "eu-central-1", "main-account", "fineweb-edu-sample-10BT", "Somebody Important", "Example-Value-1",
             "Cat-and-Dog", "0012345678901234", "https://example.org/x.git", "BEGIN OPENSSH PRIVATE KEY"]  # fmt: skip
    assert [one for one in plain if known.scrub(one) != one] == []


def test_files_that_cannot_be_read_as_text_are_passed_over(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r")
    (repo / "a.pem").write_bytes(b"\0Key=Binary-Secret-1")
    (repo / "b.pem").symlink_to("nowhere")
    (repo / "c.pem").mkdir()
    (repo / "d.pem").write_text("Key=Large-Secret-2\n" + "x" * 100_000)
    known = known_secrets(find_place(repo), configs.loads(TOML), {"HOME": str(tmp_path / "none")}, [])
    assert known.scrub("Binary-Secret-1 Large-Secret-2") == "Binary-Secret-1 Large-Secret-2"
