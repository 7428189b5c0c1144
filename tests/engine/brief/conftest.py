from __future__ import annotations

from collections.abc import Iterator

import pytest
from nights import Night, example


@pytest.fixture(scope="package")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The example night; tests that share it only read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        yield example(tmp_path_factory.mktemp("night") / "repo")
