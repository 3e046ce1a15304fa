"""Who imports whom, read from the source text: imports inside functions and under TYPE_CHECKING count like any other.

A module is named with dots from the root (``app.http.api``); a package's ``__init__.py`` has the package's name.
"""

import ast
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Arrow = tuple[str, str]
"""(importer, imported)."""


def modules(root: Path, folders: Iterable[str]) -> dict[str, Path]:
    """Every module of the top folders, by name."""
    return {_name(path.relative_to(root)): path for folder in folders for path in sorted((root / folder).rglob("*.py"))}


def packages(known: dict[str, Path]) -> set[str]:
    """Names of the modules that are packages."""
    return {name for name, path in known.items() if path.name == "__init__.py"}


def imported_names(path: Path) -> set[str]:
    """Full names that a file imports: ``a.b`` for ``import a.b`` and for ``from a import b`` alike.

    Raises ValueError at a relative import.
    """
    names = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; write the full name")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def arrows(known: dict[str, Path]) -> set[Arrow]:
    """Imports between two different known modules."""
    found = {(name, _longest(wanted, known)) for name, path in known.items() for wanted in imported_names(path)}
    return {(importer, imported) for importer, imported in found if imported and importer != imported}


def between_children(package: str, all_arrows: Iterable[Arrow]) -> set[Arrow]:
    """The arrows seen from ``package``: between two different ones of its sub-packages and files."""
    seen = {(_child(package, importer), _child(package, imported)) for importer, imported in all_arrows}
    return {(importer, imported) for importer, imported in seen if importer and imported and importer != imported}


def children(package: str, known: Iterable[str]) -> set[str]:
    """Names of a package's own sub-packages and files."""
    return {child for name in known if (child := _child(package, name))}


def circle(all_arrows: Iterable[Arrow]) -> list[str]:
    """One way from a name back to itself; empty without a circle."""
    imports: dict[str, set[str]] = {}
    for importer, imported in all_arrows:
        imports.setdefault(importer, set()).add(imported)
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def upward(layers: Iterable[str], all_arrows: Iterable[Arrow]) -> set[Arrow]:
    """The arrows that do not lead to an earlier layer; a layer is a line of names, the lowest comes first."""
    height = {name: level for level, line in enumerate(layers) for name in line.split()}
    return {(importer, imported) for importer, imported in all_arrows if height[imported] >= height[importer]}


def function_lengths(path: Path) -> Iterator[tuple[int, str]]:
    """(lines of the body without its docstring, name) of every function in a file."""
    for node in _nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield (body[-1].end_lineno - body[0].lineno + 1 if body else 0), f"{path}:{node.lineno} {node.name}"


def same_names(folder: Path) -> list[list[Path]]:
    """Files below a folder that share a name, each list sorted; conftest.py apart, which pytest tells from others."""
    by_name: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.py")):
        by_name.setdefault(path.name, []).append(path)
    return [paths for name, paths in sorted(by_name.items()) if len(paths) > 1 and name != "conftest.py"]


def attributes(path: Path) -> set[str]:
    """Names of all attributes that a file reads or calls."""
    return {node.attr for node in _nodes(path) if isinstance(node, ast.Attribute)}


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _longest(wanted: str, known: Collection[str]) -> str:
    """The known module that an imported name belongs to; empty for a stranger's."""
    while wanted and wanted not in known:
        wanted = wanted.rpartition(".")[0]
    return wanted


def _child(package: str, name: str) -> str:
    start = f"{package}."
    return name.removeprefix(start).split(".")[0] if name.startswith(start) else ""
