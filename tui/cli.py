"""The `autoresearch` command: a table of subcommands, each loaded when it is called, and one place that maps errors.

`--version`, `--help` and the reading commands stay light: a subcommand's module is imported when that subcommand runs,
and what a module needs seldom (git, the screen, the index, the engine) it imports where it uses it.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import importlib
import locale
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

import autoresearch
from autoresearch.tui.facts.spelling import did_you_mean
from autoresearch.tui.terminal.options import Where, common, on_screen, only_reading

INTERRUPTED = 130

COMMANDS: dict[str, tuple[str, str, str]] = {
    # name: (group on the help page, "module:attribute" in tui/commands, one line of help)
    "demo": ("Start", "demo:demo", "Copy a ready target into a fresh repository and run it."),
    "init": ("Start", "init:init", "Write an autoresearch.toml for this folder."),
    "run": ("Start", "run:run", "Start or continue a session and watch it."),
    "attach": ("Start", "run:attach", "Watch a session; closing the screen leaves the engine running."),
    "resume": ("Start", "run:resume", "Go on with a paused or stopped session."),
    "pause": ("Steer", "control:pause", "Pause after this experiment, or now."),
    "stop": ("Steer", "control:stop", "Stop now; the open experiment goes on at the next resume."),
    "steer": ("Steer", "control:steer", "Give the agent a message with its next brief."),
    "limit": ("Steer", "control:limit", "Set a limit: experiments, hours, until, dollars, tokens, ..."),
    "idea": ("Steer", "control:idea", "Add an idea to the notebook."),
    "veto": ("Steer", "control:veto", "Take an idea, dead end or note off the notebook."),
    "restore": ("Steer", "notebook:restore", "Put a vetoed idea back on the list."),
    "order": ("Steer", "notebook:order", "Move an idea in the list."),
    "dead-end": ("Steer", "notebook:dead_end", "Write down what failed and why, or give up an idea."),
    "retry": ("Steer", "control:retry", "Try an experiment's change again on the present best."),
    "overrule": ("Steer", "control:overrule", "Decide against a verdict, as a new experiment."),
    "sessions": ("Read", "sessions:sessions", "Every session of the repository, in a line each."),
    "status": ("Read", "status:status", "What the session does now and where it stands."),
    "summary": ("Read", "status:summary", "What was tried, kept and gained, and how to merge it."),
    "log": ("Read", "lists:log", "The experiments, oldest first."),
    "show": ("Read", "show:show", "One experiment whole: what, why, diff, samples, log."),
    "brief": ("Read", "brief:brief", "What a fresh agent would be told now."),
    "ideas": ("Read", "lists:ideas", "Ideas, dead ends and notes."),
    "review": ("Read", "review:review", "What to check before a restart."),
    "search": ("Read", "lists:search", "Full-text search over all experiments of the repository."),
    "doctor": ("Read", "doctor:doctor", "What this machine has, and whether the target measures what it claims."),
    "archive": ("Exchange", "sessions:archive", "Leave a session out of the lists; all of it is kept."),
    "push": ("Exchange", "remote:push", "Send a session to a git remote."),
    "pull": ("Exchange", "remote:pull", "Get a session from a git remote."),
    "gc": ("Exchange", "cleanup:gc", "Remove old logs and trees, by a rule that you give."),
    "delete": ("Exchange", "cleanup:delete", "Remove a session whole, after asking."),
    "import": ("Exchange", "exchange:import_", "Make a session of a pi-autoresearch log or a results.tsv."),
    "export": ("Exchange", "exchange:export", "Write the experiments as a results.tsv or a pi-autoresearch log."),
}


class Root(click.Group):
    """A group that knows its commands by table and imports each when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][1].partition(":")
        command = getattr(importlib.import_module(f"autoresearch.tui.commands.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"There is no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}.", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(entry[0] for entry in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items() if entry[0] == section])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run one command and end the process with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        name = prog_name or "autoresearch"
        self._main_shell_completion(extra, name, complete_var)
        where = Where()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # an ASCII terminal shows `?` for ✓ instead of failing
        try:
            with self.make_context(name, arguments, obj=where, **extra) as context:
                answer = self.invoke(context)
            code = answer if isinstance(answer, int) else 0
            sys.stdout.flush()
        except click.exceptions.Exit as leave:
            code = leave.exit_code
        except BrokenPipeError:
            code = 0  # the reader has what it wanted
            _forget_stdout()
        except (Exception, KeyboardInterrupt) as error:
            if where.debug:
                import traceback

                traceback.print_exc()
            code, message = explain(error, where)
            if message:
                from autoresearch.tui.terminal.console import echo

                with contextlib.suppress(BrokenPipeError):
                    echo(message, err=True)
        sys.exit(code)


def explain(error: BaseException, where: Where) -> tuple[int, str]:
    """The exit code an error leads to, and what a person reads. The one place that maps them."""
    from autoresearch.state.config import ConfigError
    from autoresearch.state.journal import JournalLost
    from autoresearch.state.session import SessionError

    match error:
        case SessionError():
            return error.code, f"autoresearch: {error}"
        case ConfigError():
            return 2, str(error)
        case click.Abort() | KeyboardInterrupt() | EOFError():
            return INTERRUPTED, "autoresearch: interrupted."
        case click.UsageError():
            path = error.ctx.command_path if error.ctx is not None else "autoresearch"
            text = error.format_message().rstrip(".")
            return 2, f"autoresearch: {text}; see `{path} --help`."
        case click.ClickException():
            return error.exit_code, f"autoresearch: {error.format_message()}"
        case JournalLost():
            return 1, f"autoresearch: {error} Make room or make it writable, then `autoresearch resume`."
        case OSError() if error.errno is not None:
            at = f" ({error.filename})" if error.filename else ""
            fix = " Make room and call it again." if error.errno == errno.ENOSPC else ""
            return 1, f"autoresearch: {error.strerror or error}{at}.{fix}"
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    log = f" The engine's own words are in {where.opened.engine_log}." if where.opened is not None else ""
    again = "" if where.debug else " The same command with --debug shows where; please report that."
    return 1, f"autoresearch: this is a defect of ours: {said}.{again}{log}"


def _forget_stdout() -> None:
    """Point stdout at /dev/null, so that the interpreter's last flush is quiet too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=Root,
    invoke_without_command=True,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    epilog="Without a command: the screen, on the only session or the list of them.",
)
@only_reading
@on_screen
@common
@click.version_option(autoresearch.__version__, prog_name="autoresearch", message="%(prog)s %(version)s")
def cli(where: Where) -> int | None:
    """Autonomous research on your own code: ideas by an agent, measured, judged and recorded by an engine."""
    if click.get_current_context().invoked_subcommand is not None:
        return None
    from autoresearch.tui.commands.run import open_screen

    return open_screen(where)


def main() -> NoReturn:
    _speak_utf8()
    cli.main()


def _speak_utf8() -> None:
    """Our files are UTF-8 whatever the locale is; where Python would read them otherwise, begin again in UTF-8 mode."""
    if sys.flags.utf8_mode or codecs.lookup(locale.getencoding()).name == "utf-8":
        return
    arguments = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, arguments, {**os.environ, "PYTHONUTF8": "1"})
