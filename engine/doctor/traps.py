"""Why a change to an in-scope file does not reach the measured command: the likely reasons, looked for on disk.

The classic: the project is installed as editable, so that its packages are imported from the person's own folder,
whatever stands in the checkout that is measured.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from autoresearch.state.config import Config
from autoresearch.state.session import Place

_READ_BYTES = 1 << 20
_COMPILED = {".c", ".cc", ".cpp", ".cxx", ".cu", ".h", ".hpp", ".cuh", ".rs", ".go", ".java", ".f90", ".pyx", ".swift"}
SOURCE_FOLDERS = ("src", "lib", "python")


@dataclass(frozen=True, slots=True)
class Editable:
    """An install that leads back to a folder."""

    package: str
    by: Path
    """The file in site-packages that does it."""
    folder: Path
    """Where imports come from, or the project's folder."""


def reason(place: Place, config: Config, files: list[str], environ: Mapping[str, str], tree: Path) -> tuple[str, str]:
    """(why, fix) for in-scope files, relative to the target's folder, that can be broken and nothing changes.

    `environ` is what measured commands get, `tree` the target's folder in the measured checkout.
    """
    python = [name for name in files if name.endswith((".py", ".pyi"))]
    for found in (
        _linked(config, files),
        _named_by_path(place, config),
        _editable(place, config, environ, tree) if python else None,
        _installed_copy(python, environ, tree),
        _not_built(config, files),
    ):
        if found is not None:
            return found
    return (
        "The command seems to read something else.",
        "See which files it opens; name what it does use in scope.edit.",
    )


def editables(folder: Path, site_packages: Iterable[Path]) -> list[Editable]:
    """The installs in these folders that lead into `folder`."""
    here = folder.resolve()
    found: dict[str, Editable] = {}
    for packages in site_packages:
        for by, package, leads_to in _leads(packages):
            if (leads_to == here or here in leads_to.parents) and not _is_environment(leads_to, here):
                found.setdefault(package, Editable(package, by, leads_to))
    return list(found.values())


def site_packages(environ: Mapping[str, str], tree: Path) -> list[Path]:
    """Where the `python` of this environment, and a `.venv` beside the target, keep what is installed."""
    prefixes = [tree / ".venv"]
    first = next((Path(p) for p in environ.get("PATH", "").split(":") if p and (Path(p) / "python").exists()), None)
    if first is not None:
        prefixes.append(first.parent)
    prefixes += [Path(environ[name]) for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONUSERBASE") if environ.get(name)]
    found: dict[Path, None] = {}
    for prefix in prefixes:
        for pattern in ("lib/python3*/site-packages", "lib/python3*/dist-packages"):
            found.update((path.resolve(), None) for path in sorted(prefix.glob(pattern)))
    return list(found)


# -- the reasons


def _linked(config: Config, files: list[str]) -> tuple[str, str] | None:
    for link in (link.strip("/") for link in config.scope.link):
        if any(name == link or name.startswith(f"{link}/") for name in files):
            return (
                f"scope.link shows your own {link} in the checkout, so edits to it never arrive.",
                f"Take {link} out of scope.link.",
            )
    return None


def _named_by_path(place: Place, config: Config) -> tuple[str, str] | None:
    """A command that names the person's folder does not run in the checkout."""
    inside = re.compile(re.escape(str(place.top)) + r"(?:/([^\s'\":;]*))?(?=[\s'\":;]|$)")
    for key in ("build", "run", "evaluate"):
        command = getattr(config.measure, key)
        for found in inside.finditer(command if isinstance(command, str) else shlex.join(command)):
            rest = found[1] or ""
            if not re.search(r"(^|/)bin/", rest):
                return (
                    f"measure.{key} names {found[0]}, which is your own folder and not the checkout that is measured.",
                    f"Write paths in measure.{key} relative to the folder of autoresearch.toml.",
                )
    return None


def _editable(place: Place, config: Config, environ: Mapping[str, str], tree: Path) -> tuple[str, str] | None:
    found = next(iter(editables(place.top, site_packages(environ, tree))), None)
    if found is None:
        return None
    text = (
        f"{found.package} is installed as editable: {found.by} leads imports to {found.folder}, your own folder, "
        "not to the checkout that is measured."
    )
    run = config.measure.run if isinstance(config.measure.run, str) else shlex.join(config.measure.run)
    return text, f'Put the checkout first: run = "PYTHONPATH={import_root(place.folder, found)} {run}"'


def import_root(folder: Path, found: Editable) -> str:
    """Where in the target's folder the packages of this install are imported from, relative to it."""
    source = found.folder
    if source == folder and not any(source.glob("*/__init__.py")):
        source = next((source / name for name in SOURCE_FOLDERS if (source / name).is_dir()), source)
    elif (source / "__init__.py").is_file():
        source = source.parent
    return source.relative_to(folder).as_posix() if source.is_relative_to(folder) else "."


def _installed_copy(files: list[str], environ: Mapping[str, str], tree: Path) -> tuple[str, str] | None:
    for name in files:
        parts = name.split("/")
        if len(parts) > 1 and parts[0] in SOURCE_FOLDERS:
            parts = parts[1:]
        for packages in site_packages(environ, tree):
            copy = packages.joinpath(*parts)
            if copy.is_file():
                source = name.removesuffix("/".join(parts)).rstrip("/") or "."
                return (
                    f"A copy of {name} is installed at {copy}, and the run imports that one.",
                    f"Uninstall {parts[0].removesuffix('.py')} there, or put PYTHONPATH={source} before the command.",
                )
    return None


def _not_built(config: Config, files: list[str]) -> tuple[str, str] | None:
    compiled = next((name for name in files if Path(name).suffix in _COMPILED), None)
    if compiled is None or config.measure.build:
        return None
    return (
        f"{compiled} has to be compiled, and measure.build is empty: an older program is run.",
        "Say how it is built in measure.build.",
    )


# -- what installers leave


def _leads(packages: Path) -> Iterator[tuple[Path, str, Path]]:
    """(file, package, folder that it leads to)."""
    for link in sorted(packages.glob("*.egg-link")):
        yield link, link.stem, Path(_text(link).split("\n")[0].strip() or "/").resolve()
    for path in (*sorted(packages.glob("*.pth")), *sorted(packages.glob("__editable__*.py"))):
        for folder in _paths_in(path, packages):
            yield path, _package_of(path, folder), folder.resolve()
    for path in sorted(packages.glob("*.dist-info/direct_url.json")):
        try:
            data = json.loads(_text(path))
            url = urlsplit(str(data["url"]))
            if url.scheme == "file" and data["dir_info"].get("editable") is True:
                yield path, path.parent.name.split("-")[0], Path(unquote(url.path)).resolve()
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _paths_in(path: Path, packages: Path) -> Iterator[Path]:
    """A .pth's lines that are folders, and the absolute paths quoted in a finder's code."""
    for line in map(str.strip, _text(path).splitlines()):
        if path.suffix == ".py" or line.startswith(("import ", "import\t")):
            yield from (Path(found) for found in re.findall(r"['\"](/[^'\"\n]+)['\"]", line))
        elif line and not line.startswith("#"):
            yield packages / line


def _package_of(path: Path, folder: Path) -> str:
    stem = re.sub(r"^_*editable_*", "", path.stem.strip("_"))
    stem = re.split(r"[-_.]+(?=\d|finder|editable|impl)", stem)[0].strip("._-")
    return stem if stem and stem != "easy-install" else folder.name


def _is_environment(path: Path, top: Path) -> bool:
    """A folder of an environment that lies in the repository is no source of the project's."""
    return any((parent / "pyvenv.cfg").is_file() for parent in (path, *path.parents) if parent.is_relative_to(top))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES).replace(b"\0", b"").decode("utf-8", "replace")
    except OSError:
        return ""
