"""Make the README's picture of the screen from the real app: `python docs/make_screens.py SESSION_FOLDER OUT.svg`.

Without a session of your own, `--example` writes one first, with invented figures, into the folder named.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from pathlib import Path

from autoresearch.state.session import Place, Session
from autoresearch.tui.app import Dashboard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session", type=Path, help="a session's folder; with --example, an empty folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--example", choices=("running", "paused", "beginning"))
    parser.add_argument("--keys", default="", help="keys to press first, separated by spaces")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    with contextlib.ExitStack() as stack:
        clock = None
        if options.example:
            sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "tui"))
            import sessions

            writer = getattr(sessions, options.example)(options.session)
            if options.example != "paused":
                stack.enter_context(sessions.engine(writer))
            session, place, clock = writer.session, writer.place, lambda: writer.now
        else:
            session = Session(options.session.resolve())
            common = session.folder.parent.parent
            place = Place(top=common.parent, git_dir=common, common_dir=common, prefix="")
        app = Dashboard(place, session, **({"clock": clock} if clock else {}))
        options.out.write_text(asyncio.run(picture(app, width, height, options.keys.split())))


async def picture(app: Dashboard, width: int, height: int, keys: list[str]) -> str:
    async with app.run_test(size=(width, height)) as pilot:
        deadline = time.monotonic() + 20
        while not (app.board.opened and app.board.engine is not None):
            if time.monotonic() > deadline:
                raise SystemExit(f"The session could not be read within 20 s: {app.board.problem or 'still reading'}")
            await pilot.pause(0.05)
        await pilot.pause(0.3)
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        return app.export_screenshot(title="autoresearch")


if __name__ == "__main__":
    main()
