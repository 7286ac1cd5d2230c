"""Text that is on every machine: the docstrings of the installed Python packages.

The demo's data. A docstring's summary says in a sentence what a function does, the rest says what
it takes and returns: a pair of (description, document) in the words of the package's authors.
"""

from __future__ import annotations

import re
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from tenor.data.python_source import DescribedFunction, read_sources
from tenor.errors import ConfigError, DataError

__all__ = [
    "DescribedFunction",
    "DocstringCorpus",
    "DocstringCounts",
    "DocstringSplit",
    "RetrievalTask",
    "read_docstrings",
    "split",
]

# Ourselves, and tools of developers: without them the texts are the same whichever of our extras
# are installed.
LEFT_OUT = frozenset(
    {"_pytest", "mypy", "mypyc", "pip", "pkg_resources", "pluggy", "pytest", "ruff", "setuptools"}
    | {"tenor", "wheel"}
)
_SUMMARY_WORDS = range(3, 41)
_REST_WORDS = 10
_BOILERPLATE = 5
_WORD = re.compile(r"[a-z0-9]+")
_LITTLE_WORDS = frozenset(
    {"a", "an", "and", "are", "be", "by", "for", "from", "in", "is", "it", "its", "of", "on", "or"}
    | {"that", "the", "this", "to", "with"}
)


@dataclass(frozen=True, slots=True)
class DocstringCounts:
    """What was read and what became of it.

    Args:
        packages: top-level packages with at least one function in the corpus.
        files: source files parsed.
        unreadable_files: files left out because of their syntax or encoding.
        functions: public functions, methods and classes with a docstring.
        kept: how many of them are in the corpus.
        dropped: why the others are not, and how many for each reason.
    """

    packages: int
    files: int
    unreadable_files: int
    functions: int
    kept: int
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True)
class DocstringCorpus:
    """Described functions, sorted by name; no two share their name, their summary or their rest."""

    items: tuple[DescribedFunction, ...]
    counts: DocstringCounts


@dataclass(frozen=True, slots=True)
class RetrievalTask:
    """Which function does this sentence describe?

    Args:
        ids: of the documents.
        texts: of the documents, in the order of `ids`.
        queries: text of each query by its id.
        qrels: by query id, the score of each relevant document.
        notes: what a reader of the figures has to know, in sentences.
    """

    ids: list[str]
    texts: list[str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocstringSplit:
    """A corpus in three parts; all functions of the modules of a folder stand in the same one."""

    train: tuple[DescribedFunction, ...]
    validation: tuple[DescribedFunction, ...]
    test: tuple[DescribedFunction, ...]

    def retrieval(
        self,
        part: str = "test",
        *,
        queries: int | None = None,
        documents: int = 5000,
        with_name: bool = True,
    ) -> RetrievalTask:
        """Turn a held-out part into a retrieval task: its summaries ask for its documents.

        Args:
            part: `test` or `validation`.
            queries: ask at most so many, chosen by a hash of their name; None: all.
            documents: search among at least so many. What the part lacks is filled up with
                functions that no query asks for, for the test those of validation first, then
                those of training, and a note says so. Validation never sees the test part.
            with_name: whether a document begins with the function's signature.

        Raises:
            ConfigError: another part was named, or less than one query wanted.
        """
        if part not in ("test", "validation"):
            raise ConfigError("part", part, "'test' or 'validation'")
        if queries is not None and queries < 1:
            raise ConfigError("queries", queries, "at least 1, or None for all")
        own = self.test if part == "test" else self.validation
        asked = sorted(own, key=_by_hash)[:queries]
        pool, notes = list(own), []
        held_out = self.validation if part == "test" else ()
        for fillers, origin in ((held_out, "is held out too"), (self.train, "was trained on")):
            added = sorted(fillers, key=_by_hash)[: max(0, documents - len(pool))]
            if added:
                pool += added
                notes.append(
                    f"{len(added):,} of the {documents:,} documents are not of the {part} part: "
                    f"no query asks for them; their text {origin}."
                )
        if len(pool) < documents:
            notes.append(f"There are only {len(pool):,} documents; {documents:,} were wanted.")
        return RetrievalTask(
            ids=[item.name for item in pool],
            texts=[item.document(with_name=with_name) for item in pool],
            queries={f"query/{item.name}": item.summary for item in asked},
            qrels={f"query/{item.name}": {item.name: 1} for item in asked},
            notes=tuple(notes),
        )


def read_docstrings(
    roots: Sequence[Path] | None = None, *, exclude: Collection[str] = LEFT_OUT
) -> DocstringCorpus:
    """Read the docstrings of all public functions, methods and classes of installed packages.

    Nothing is imported or run. Of functions that repeat each other the first by name is kept; a
    summary that more than five functions share describes none of them.

    Args:
        roots: folders that hold packages; None: where the running Python's are installed.
        exclude: top-level packages to leave out.

    Raises:
        DataError: no documented function was found.
    """
    if roots is None:
        roots = [Path(sysconfig.get_paths()[scheme]) for scheme in ("purelib", "platlib")]
    roots = list(dict.fromkeys(Path(root).resolve() for root in roots))
    functions, files, unreadable = read_sources(roots, frozenset(exclude))
    items, dropped = _select(functions)
    if not items:
        folders = ", ".join(map(str, roots))
        raise DataError(
            f"no documented Python function was found in {folders}. Name folders that hold "
            "packages, or install some."
        )
    counts = DocstringCounts(
        packages=len({item.module.partition(".")[0] for item in items}),
        files=files,
        unreadable_files=unreadable,
        functions=len(functions),
        kept=len(items),
        dropped=dropped,
    )
    return DocstringCorpus(tuple(items), counts)


def split(
    corpus: DocstringCorpus,
    *,
    seed: int = 0,
    test_share: float = 0.3,
    validation_share: float = 0.04,
) -> DocstringSplit:
    """Split by the folder that a function's module lies in, so that siblings stay together.

    In an order that depends on their names and the seed alone, the folders fill the test part,
    then validation, then training.

    Args:
        corpus: what to split.
        seed: another seed, another order.
        test_share: test gets folders until it has this share of the functions, above 0, below 1.
        validation_share: likewise.

    Raises:
        ConfigError: the shares leave nothing for training.
        DataError: there are too few folders for three parts.
    """
    for field, share in (("test_share", test_share), ("validation_share", validation_share)):
        if not 0 < share < 1:
            raise ConfigError(field, share, "above 0 and below 1")
    if test_share + validation_share >= 1:
        raise ConfigError("validation_share", validation_share, f"below {1 - test_share:g}")
    folders: dict[str, list[DescribedFunction]] = defaultdict(list)
    holding = {item.module.rpartition(".")[0] for item in corpus.items}
    for item in corpus.items:
        # A package's own functions stand in its `__init__.py`, inside its folder.
        inside, module = item.module in holding, item.module
        folders[module if inside else module.rpartition(".")[0] or module].append(item)
    parts: dict[str, list[DescribedFunction]] = {"test": [], "validation": [], "train": []}
    wanted = {"test": test_share, "validation": validation_share, "train": 1.0}
    for folder in sorted(folders, key=lambda name: _hash(f"{seed}:{name}")):
        part = next(name for name in parts if len(parts[name]) < wanted[name] * len(corpus.items))
        parts[part] += folders[folder]
    empty = [part for part, items in parts.items() if not items]
    if empty:
        raise DataError(
            f"nothing is left for {' and '.join(empty)}: the {len(corpus.items):,} functions lie "
            f"in {len(folders)} folders of modules only. Read more packages."
        )
    ordered = {
        part: tuple(sorted(items, key=lambda item: item.name)) for part, items in parts.items()
    }
    return DocstringSplit(**ordered)


def _select(found: Sequence[DescribedFunction]) -> tuple[list[DescribedFunction], dict[str, int]]:
    """Those a search can tell apart, sorted by name, and how many fell to each reason."""
    ordered = sorted(found, key=lambda item: (item.name, item.module))
    summaries = [_fingerprint(item.summary) for item in ordered]
    frequency = Counter(summaries)
    kept: list[DescribedFunction] = []
    dropped: Counter[str] = Counter()
    seen: set[str] = set()
    for item, summary in zip(ordered, summaries, strict=True):
        if len(item.summary.split()) not in _SUMMARY_WORDS:
            dropped["summary shorter than 3 or longer than 40 words"] += 1
        elif len(item.rest.split()) < _REST_WORDS:
            dropped["fewer than 10 words after the summary"] += 1
        elif frequency[summary] > _BOILERPLATE:
            dropped["summary shared by more than 5 functions"] += 1
        elif _names_itself(item):
            dropped["summary gives the name away"] += 1
        elif seen & (marks := {f"name {item.name}", summary, _fingerprint(item.rest, item.module)}):
            dropped["same summary, rest or name as one before"] += 1
        else:
            kept.append(item)
            seen |= marks
    return kept, dict(dropped)


def _names_itself(item: DescribedFunction) -> bool:
    """Whether the summary holds the name, if that is no ordinary word: nobody would search so."""
    name = item.name.rpartition(".")[2]
    return ("_" in name or name != name.lower()) and name in re.findall(r"\w+", item.summary)


def _fingerprint(text: str, module: str = "") -> str:
    """What two texts share that differ little in wording, or only by what their modules are called.

    Families of modules repeat each other: "Args: config of the BERT model" in `models.bert` and
    "Args: config of the GPT2 model" in `models.gpt2` have the same fingerprint.
    """
    own = tuple(word for word in re.split(r"[._]", module.lower()) if len(word) > 2)
    words = (word for word in _WORD.findall(text.lower()) if word not in _LITTLE_WORDS)
    return " ".join("_" if word.startswith(own) else word.rstrip("s") for word in words)


def _by_hash(item: DescribedFunction) -> bytes:
    return _hash(item.name)


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()
