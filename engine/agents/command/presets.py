"""The agent CLIs that are known by name: how each is called for one proposal, and how its login is found.

`agent.command` is one of these names, with further flags if wanted (`codex -c model_reasoning_effort=high`), or a
template of a person's own: a command line for bash, in which `{brief}` is the brief's file, `{tree}` the folder to work
in and `{model}` the config's `agent.model`. A template that does not name `{brief}` gets the brief on its stdin.

No preset skips its CLI's permissions: those flags refuse root, and a research loop needs files edited, not commands
run.
"""

from __future__ import annotations

import difflib
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from autoresearch.state.config import AgentSettings

Form = Literal["text", "claude", "codex", "opencode", "pi", "gemini"]
"""What the CLI writes to its stdout: plain text, or a stream of JSON lines in its own manner."""

ANSWER_FOLDER = ".autoresearch-proposal"
"""In the target's folder of the propose tree while an agent works: all CLIs may read and write below their own folder,
and some nowhere else. It is removed before the edits are taken."""
BRIEF_FILE = "brief.md"
WORDS_FILE = "words.json"


@dataclass(frozen=True, slots=True)
class Preset:
    name: str
    program: str
    arguments: tuple[str, ...]
    protection: str
    """What keeps the CLI in bounds, in one clause."""
    install: str
    login: str
    form: Form = "text"
    last: tuple[str, ...] = ()
    """Arguments that must stand behind a person's own flags."""
    takes_files: bool = False
    """It edits only files that its command line names."""
    shell: tuple[str, ...] = ()
    """Added with `agent.shell`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set unless the person's environment does."""
    litter: tuple[str, ...] = ()
    """Globs of the CLI's own files that it leaves in the tree."""
    check: tuple[str, ...] = ()
    """A subcommand whose exit code says whether it is logged in; without one, `keys` and `credentials` tell."""
    keys: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    """Files below HOME that a login leaves."""
    private: tuple[str, ...] = ()
    """Files and folders below HOME that no run may read: the logins, and what the CLI remembers of its sessions."""


_CLAUDE_TOOLS = "Read,Edit,MultiEdit,Write,NotebookEdit,Glob,Grep,LS,TodoWrite"
_LOOK_UPS = ",".join(f"Bash(autoresearch {name}:*)" for name in ("show", "search", "ideas", "log"))
"""What the brief refers to for what it leaves out."""
_ANY_KEY = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "GROQ_API_KEY",
            "MISTRAL_API_KEY", "DEEPSEEK_API_KEY", "XAI_API_KEY")  # fmt: skip

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="claude-code",
            program="claude",
            arguments=("-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits",
                       "--allowedTools", f"{_CLAUDE_TOOLS},{_LOOK_UPS}"),
            shell=("--allowedTools", f"{_CLAUDE_TOOLS},Bash"),
            form="claude",
            protection="Claude Code's permissions: it edits files in its folder and runs no commands but ours",
            install="npm install -g @anthropic-ai/claude-code",
            login="call `claude` once and log in, or set ANTHROPIC_API_KEY",
            keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK",
                  "CLAUDE_CODE_USE_VERTEX"),
            credentials=(".claude/.credentials.json",),
            private=(".claude", ".claude.json"),
        ),
        Preset(
            name="codex",
            program="codex",
            arguments=("exec", "--json", "--sandbox", "workspace-write", "--skip-git-repo-check"),
            last=("-",),
            form="codex",
            protection="Codex's workspace-write sandbox: commands write in its folder alone and have no network",
            install="npm install -g @openai/codex",
            login="call `codex login`, or set CODEX_API_KEY",
            check=("login", "status"),
            keys=("CODEX_API_KEY", "OPENAI_API_KEY"),
            credentials=(".codex/auth.json",),
            private=(".codex",),
        ),
        Preset(
            name="opencode",
            program="opencode",
            arguments=("run", "--format", "json"),
            form="opencode",
            protection="none but opencode's own permissions: it edits files and runs commands as you",
            install="npm install -g opencode-ai",
            login="call `opencode auth login`, or set a provider's key",
            keys=_ANY_KEY,
            credentials=(".local/share/opencode/auth.json",),
            private=(".local/share/opencode", ".config/opencode"),
        ),
        Preset(
            name="pi",
            program="pi",
            arguments=("-p", "--mode", "json", "--no-session"),
            form="pi",
            protection="none: it edits files and runs commands as you",
            install="npm install -g @earendil-works/pi-coding-agent",
            login="call `pi` once and log in with /login, or set a provider's key",
            keys=_ANY_KEY,
            credentials=(".pi/agent/auth.json",),
            private=(".pi",),
        ),
        Preset(
            name="gemini",
            program="gemini",
            arguments=("--approval-mode", "auto_edit", "--output-format", "stream-json"),
            last=("-p", "Do what the brief above says."),
            form="gemini",
            protection="Gemini's auto_edit mode: it edits files in its folder and runs no commands",
            # In a folder that nobody has trusted it falls back to asking, and there is nobody to ask.
            environment={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
            install="npm install -g @google/gemini-cli",
            login="call `gemini` once and log in, or set GEMINI_API_KEY",
            keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"),
            credentials=(".gemini/oauth_creds.json",),
            private=(".gemini",),
        ),
        Preset(
            name="aider",
            program="aider",
            arguments=("--message-file", "{brief}", "--yes-always", "--no-auto-commits", "--no-dirty-commits",
                       "--no-gitignore", "--no-suggest-shell-commands", "--no-detect-urls", "--no-check-update",
                       "--no-show-release-notes", "--no-show-model-warnings", "--no-stream", "--no-pretty",
                       "--no-fancy-input", "--input-history-file", "/dev/null", "--chat-history-file", "/dev/null"),
            takes_files=True,
            litter=(".aider*",),
            protection="aider's own way of working: it edits files and runs no commands",
            install="uv tool install aider-chat",
            login="set the key of a provider, such as ANTHROPIC_API_KEY or OPENAI_API_KEY",
            keys=_ANY_KEY,
            private=(".aider.conf.yml",),
        ),
    )
}  # fmt: skip


TEMPLATE = Preset(
    name="agent command",
    program="the agent command",
    arguments=(),
    protection="none: it runs as you",
    install="",
    login="log it in",
)
"""Stands for a command line of a person's own."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a CLI."""

    argv: tuple[str, ...]
    on_stdin: bool
    """Whether it reads the brief from its stdin."""


def preset_of(command: str) -> tuple[Preset, tuple[str, ...]] | None:
    """The preset that `agent.command` names, with the person's own flags; None when it is a template."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if not words or words[0] not in PRESETS or (len(words) > 1 and not words[1].startswith("-")):
        return None
    if any(mark in command for mark in ("{brief}", "{tree}")):
        return None
    return PRESETS[words[0]], tuple(words[1:])


def misnamed(command: str, path: str) -> str:
    """What is wrong with one plain word that is neither a preset nor a program on `path`; "" for anything else."""
    word = command.strip()
    if word in PRESETS or not re.fullmatch(r"[\w.-]+", word) or shutil.which(word, path=path):
        return ""
    close = difflib.get_close_matches(word, PRESETS, 1)
    return f'agent.command: found "{word}", expected one of {", ".join(PRESETS)}, or a command with {{brief}} in it' + (
        f': did you mean "{close[0]}"?' if close else "."
    )


def model_of(settings: AgentSettings) -> str:
    """The model a person asked for; "" when it is left to the CLI."""
    return settings.model if settings.model != AgentSettings().model else ""


def call_of(settings: AgentSettings, brief: Path, tree: Path, files: Sequence[str] = ()) -> Call:
    """How the CLI of `settings` is called on a brief in a tree; `files` for the one that wants them named."""
    found, own_model = preset_of(settings.command), model_of(settings)
    if found is None:
        return _template(settings, brief, tree)
    preset, flags = found
    arguments = [word.replace("{brief}", str(brief)) for word in preset.arguments]
    if settings.shell and preset.shell:
        at = arguments.index(preset.shell[0])
        arguments[at : at + len(preset.shell)] = preset.shell
    if own_model and "--model" not in flags:
        arguments += ["--model", own_model]
    argv = (preset.program, *arguments, *flags, *(files if preset.takes_files else ()), *preset.last)
    return Call(argv, "{brief}" not in preset.arguments)


def _template(settings: AgentSettings, brief: Path, tree: Path) -> Call:
    line = settings.command
    on_stdin = "{brief}" not in line
    for mark, value in (("{brief}", str(brief)), ("{tree}", str(tree)), ("{model}", settings.model)):
        line = line.replace(mark, shlex.quote(value))
    return Call(("bash", "-c", line), on_stdin)
