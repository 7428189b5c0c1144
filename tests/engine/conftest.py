from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from workspaces import Open

from autoresearch.engine.workspace import Workspace, head_of
from autoresearch.state.config import config as configs
from autoresearch.state.journal import records
from autoresearch.state.session import create_session, find_place


@pytest.fixture
def open_workspace(tmp_path: Path) -> Iterator[Open]:
    opened: list[Workspace] = []

    def make(
        repo: Path, edit: tuple[str, ...] = ("knob.py",), link: tuple[str, ...] = (), **measure: object
    ) -> Workspace:
        place = find_place(repo)
        config = configs.Config(
            name="t",
            metric=configs.Metric("score"),
            scope=configs.Scope(edit, link),
            measure=configs.Measure("python bench.py", **measure),  # type: ignore[arg-type]
        )
        header = records.Header(session="s", base=head_of(place))
        session = create_session(place, f"s{len(opened)}", header, configs.dumps(config))
        workspace = Workspace(place, session, config, lambda text: warnings.append(text))
        opened.append(workspace)
        return workspace

    warnings: list[str] = []
    make.warnings = warnings  # type: ignore[attr-defined]
    yield make
    for workspace in opened:
        workspace.close()
