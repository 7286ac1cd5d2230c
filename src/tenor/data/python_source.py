"""Documented functions in the source files of Python packages, without importing any of them.

What is public follows from the sources too: what no underscore hides where it is defined, or where
the `__init__.py` of a package imports it.
"""

from __future__ import annotations

import ast
import gc
import inspect
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = ["DescribedFunction", "SourceReading", "read_sources"]

_NOT_API = frozenset(
    {"__pycache__", "benchmarks", "conftest", "examples", "test", "tests", "testing", "_tests"}
    | {"_vendor", "_vendored", "extern", "externals", "third_party", "vendor", "vendored"}
)
# What ends the opening paragraph: a blank line, a field, a directive, an example, a heading.
_SECTION = re.compile(
    r"\s*$|\s*(?:[:@]\w[^:]*:|\w+ \(.*:$|\.\. |>>> |[A-Z][\w ]{2,24}::?\s*$|[-=~*#^]{3,}\s*$)"
)
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)(?<!cf\.)\s+(?=[A-Z])"
)
_UNDERLINE = re.compile(r"[-=~*#^]{3,}")
_MARKUP = re.compile(r"(?::[a-zA-Z:]+:)?\[?`+~?([^`]*)`+\]?_?")

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class DescribedFunction:
    """A public function, method or class together with its docstring.

    Args:
        name: the path it is imported by, as far as the sources tell: `numpy.linalg.inv`.
        signature: its name and its arguments' names: `inv(a)`, `Series.sum(axis, skipna)`.
        summary: first sentence of the docstring, on one line.
        rest: what follows it, whitespace collapsed.
        module: where it is defined: `numpy.linalg._linalg`.
    """

    name: str
    signature: str
    summary: str
    rest: str
    module: str

    def document(self, *, with_name: bool = True) -> str:
        """Text to search in: the rest of the docstring, by default with the signature before it.

        >>> inverse = DescribedFunction("linalg.inv", "inv(a)", "Invert it.", "Returns: x.", "m")
        >>> inverse.document(), inverse.document(with_name=False)
        ('inv(a) Returns: x.', 'Returns: x.')
        """
        return f"{self.signature} {self.rest}" if with_name else self.rest


class SourceReading(NamedTuple):
    """What was read: the functions, how many files were parsed, and how many could not be."""

    functions: list[DescribedFunction]
    files: int
    unreadable: int


class _Place(NamedTuple):
    module: str
    name: str


class _Found(NamedTuple):
    place: _Place  # of the function, or of the class that it belongs to
    label: str
    arguments: str
    docstring: str


def read_sources(roots: Sequence[Path], exclude: frozenset[str]) -> SourceReading:
    """Find the documented public functions, methods and classes of the packages in some folders.

    Args:
        roots: folders that hold packages.
        exclude: top-level packages to leave out. Tests, examples and vendored copies always are.
    """
    modules = [module for root in roots for module in _modules(root, exclude)]
    sources = _Sources()
    with _quiet():
        for name, path in modules:
            if path.name == "__init__.py":
                sources.read(name, path, is_package=True)
        imported = {place.module for place in sources.importers}
        for name, path in modules:
            # A private module that no package imports from holds nothing public: not parsed.
            if path.name != "__init__.py" and (name in imported or not _is_private(name)):
                sources.read(name, path, is_package=False)
    return SourceReading(list(sources.described()), sources.files, sources.unreadable)


class _Sources:
    """Definitions and imports of all files: only together do they tell what is public."""

    def __init__(self) -> None:
        self.files = self.unreadable = 0
        # Who imports a name from a module; the name "*" stands for all that the module offers.
        self.importers: dict[_Place, list[_Place]] = defaultdict(list)
        self._packages: set[str] = set()
        self._listed: dict[str, frozenset[str]] = {}
        self._found: list[_Found] = []

    def read(self, module: str, path: Path, *, is_package: bool) -> None:
        source = path.read_bytes()
        if not is_package and b'"""' not in source and b"'''" not in source:
            return
        try:
            tree = ast.parse(source, filename=str(path))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.unreadable += 1
            return
        self.files += 1
        if is_package:
            self._packages.add(module)
        self._listed[module] = _listed_names(tree)
        for node in _statements(tree.body):
            if isinstance(node, ast.ImportFrom):
                self._note_import(module, node, is_package)
            elif isinstance(node, _Definition):
                self._collect(node, _Place(module, node.name), node.name)

    def _note_import(self, module: str, node: ast.ImportFrom, is_package: bool) -> None:
        parts = module.split(".")
        above = node.level - is_package
        base = parts[: len(parts) - above] if node.level else []
        source = ".".join([*base, *filter(None, [node.module])])
        # What a package takes from another one keeps that other one's name.
        if source.partition(".")[0] == parts[0]:
            for alias in node.names:
                importer = _Place(module, alias.asname or alias.name)
                self.importers[_Place(source, alias.name)].append(importer)

    def _collect(self, node: _Definition, place: _Place, label: str) -> None:
        docstring = ast.get_docstring(node, clean=False)
        if docstring:
            self._found.append(_Found(place, label, _arguments(node), docstring))
        if isinstance(node, ast.ClassDef):
            for inner in _statements(node.body):
                if isinstance(inner, _Definition) and not inner.name.startswith("_"):
                    self._collect(inner, place, f"{label}.{inner.name}")

    def described(self) -> Iterator[DescribedFunction]:
        for place, label, arguments, docstring in self._found:
            path = self._public_path(place)
            if path is not None:
                name = path + label[len(place.name) :]
                summary, rest = _summary_and_rest(docstring)
                yield DescribedFunction(name, label + arguments, summary, rest, place.module)

    def _public_path(self, defined: _Place) -> str | None:
        """The shortest path it can be imported by from a package or its own module, if any."""
        waiting, seen, paths = [defined], set(), []
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            path = ".".join(place)
            if not _is_private(path) and (place == defined or place.module in self._packages):
                paths.append(path)
            waiting += self.importers.get(place, ())
            listed = self._listed.get(place.module)
            if place.name in listed if listed else not place.name.startswith("_"):
                for importer in self.importers.get(_Place(place.module, "*"), ()):
                    waiting.append(_Place(importer.module, place.name))
        return min(paths, key=lambda path: (path.count("."), path), default=None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what parsing warns of, and stop the garbage collector from visiting every node."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if collecting:
            gc.enable()


def _modules(root: Path, exclude: frozenset[str]) -> Iterator[tuple[str, Path]]:
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root).parts
        left_out = _NOT_API if inside else _NOT_API | exclude
        folders[:] = sorted(
            name for name in folders if name.isidentifier() and name not in left_out
        )
        for file in sorted(files):
            stem, extension = os.path.splitext(file)
            is_test = stem.startswith("test_") or stem.endswith("_test") or stem in left_out
            if extension == ".py" and stem.isidentifier() and not is_test:
                parts = inside if stem == "__init__" else (*inside, stem)
                if parts:
                    yield ".".join(parts), Path(folder, file)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module or class, also those under `if` and `try`."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


def _listed_names(tree: ast.Module) -> frozenset[str]:
    """Names in the module's `__all__`, as far as it spells them out."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AugAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == "__all__":
                constants = (
                    part for part in ast.walk(node.value) if isinstance(part, ast.Constant)
                )
                names |= {part.value for part in constants if isinstance(part.value, str)}
    return frozenset(names)


def _arguments(node: _Definition) -> str:
    """Names of the arguments in parentheses; a class has those of its `__init__`."""
    if isinstance(node, ast.ClassDef):
        methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef))
        return next((_arguments(inner) for inner in methods if inner.name == "__init__"), "")
    arguments = node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    if names[:1] in (["self"], ["cls"]):
        del names[0]
    names += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    names += [argument.arg for argument in arguments.kwonlyargs]
    names += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return f"({', '.join(names)})"


def _summary_and_rest(docstring: str) -> tuple[str, str]:
    lines = inspect.cleandoc(docstring).splitlines()
    end = next((at for at, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    opening, rest = _plain(lines[:end]), _plain(lines[end:])
    sentence = _SENTENCE_END.search(opening)
    if sentence:
        rest = f"{opening[sentence.end() :]} {rest}".rstrip()
        opening = opening[: sentence.start()]
    return opening, rest


def _plain(lines: Sequence[str]) -> str:
    """One line without the markup of roles, literals and underlined headings."""
    return " ".join(_MARKUP.sub(r"\1", _UNDERLINE.sub(" ", "\n".join(lines))).split())


def _is_private(path: str) -> bool:
    return path.startswith("_") or "._" in path
