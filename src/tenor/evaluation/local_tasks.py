"""Tasks to measure models on, found in files and folders; their kind is told from the columns.

| what is there | kind |
|---|---|
| a folder with corpus, queries and qrels (`read_beir`) | retrieval |
| `sentence1`, `sentence2`, `score` | sts |
| `sentence1`, `sentence2`, `label` (same or different) | pair classification |
| `text`, `label` in a train file and a test file | classification |
| `anchor`, `positive` and, where there are any, `negative` | ranking |

A folder's files are called `test` and, for classification, `train`, with any suffix that is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tenor.data.formats import READERS
from tenor.data.problems import RowProblems
from tenor.data.read import read_blocks
from tenor.data.roles import recognise_pair_labels, recognise_roles
from tenor.errors import DataError
from tenor.evaluation.beir import is_beir

__all__ = ["KINDS", "LocalTask", "TaskKind", "find_local_task", "list_local_tasks"]

TaskKind = Literal["sts", "pair classification", "classification", "retrieval", "ranking"]

KINDS: tuple[TaskKind, ...] = (
    "sts", "pair classification", "classification", "retrieval", "ranking",
)  # fmt: skip
SPLITS = ("train", "test")
PEEKED = 1000  # rows whose labels tell one kind of labelled pairs from another


@dataclass(frozen=True, kw_only=True)
class LocalTask:
    """A data set to measure models on.

    Args:
        name: of the folder; of the file without its suffix, with the folder before it where the
            file is called as a split is.
        kind: what there is to do.
        path: what was named: a file, two with a comma between them, or a folder.
        test: the file to measure on, or the folder of a retrieval set.
        train: the file to learn the labels from, for classification.
    """

    name: str
    kind: TaskKind
    path: str
    test: Path
    train: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The train file, where there is one, and the test file; or the folder."""
        return [self.test] if self.train is None else [self.train, self.test]


def find_local_task(path: str | Path) -> LocalTask:
    """Find out what a file or a folder is a task of.

    Args:
        path: a file; a train and a test file with a comma between them; or a folder that holds a
            retrieval set, or a test file and perhaps a train file.

    Returns:
        The task; the first rows of its files were read to tell its kind.

    Raises:
        DataError: there is no such file, its columns are none of those above, or classification
            lacks a train file; the message says what was looked for.
    """
    named = str(path)
    if Path(named).is_dir():
        return _in_folder(Path(named))
    train, comma, test = named.rpartition(",")
    if comma and not Path(named).exists():
        return _of_files(Path(test), Path(train), named)
    return _of_files(Path(named), None, named)


def list_local_tasks(folder: str | Path) -> dict[str, Path]:
    """The tasks of a folder by name: the folder itself, or those of its subfolders that may be one.

    Args:
        folder: a task's folder, or one that holds several.

    Returns:
        Folders by their names, in alphabetical order; nothing of them was read yet.

    Raises:
        DataError: there is no such folder, or nothing in it is a task.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError("there is no such folder.", path=folder)
    if _may_be_task(root):
        return {root.resolve().name: root}
    inside = {entry.name: entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    found = {name: entry for name, entry in inside.items() if _may_be_task(entry)}
    if not found:
        raise DataError(
            "holds no task: neither corpus, queries and qrels, nor a file called test, and no "
            "folder that does.",
            path=folder,
        )
    return found


def _may_be_task(folder: Path) -> bool:
    return is_beir(folder) or _split_file(folder, "test") is not None


def _in_folder(folder: Path) -> LocalTask:
    name = folder.resolve().name
    if is_beir(folder):
        return LocalTask(name=name, kind="retrieval", path=str(folder), test=folder)
    test = _split_file(folder, "test")
    if test is None:
        raise DataError(
            "holds no task: it takes corpus, queries and qrels, or a file called test (and train, "
            "to learn labels from) with one of the suffixes " + ", ".join(READERS) + ".",
            path=folder,
        )
    return LocalTask(
        name=name,
        kind=(kind := _kind(test)),
        path=str(folder),
        test=test,
        train=_train_file(_split_file(folder, "train"), test) if kind == "classification" else None,
    )


def _of_files(test: Path, train: Path | None, named: str) -> LocalTask:
    stem = test.name.removesuffix(".gz").rpartition(".")[0] or test.name
    inside = test.resolve().parent.name
    kind = _kind(test)
    if kind == "classification":
        train = _train_file(train, test)
    elif train is not None:
        raise DataError(f"is {_a(kind)} task, which takes no train file.", path=test)
    return LocalTask(
        name=f"{inside}-{stem}" if stem in (*SPLITS, "validation", "dev") else stem,
        kind=kind,
        path=named,
        test=test,
        train=train,
    )


def _train_file(train: Path | None, test: Path) -> Path:
    if train is None:
        raise DataError(
            "holds labelled texts; to measure embeddings on them takes a train file too: name both "
            "as TRAIN,TEST, or a folder that holds files called train and test.",
            path=test,
        )
    if (kind := _kind(train)) != "classification":
        raise DataError(f"is {_a(kind)} file; labelled texts are needed: text, label.", path=train)
    return train


def _split_file(folder: Path, split: str) -> Path | None:
    """The file of a split, or `None`; the first by suffix where there are several."""
    for suffix in READERS:
        for ending in ("", ".gz"):
            if (folder / f"{split}{suffix}{ending}").is_file():
                return folder / f"{split}{suffix}{ending}"
    return None


def _kind(path: Path) -> TaskKind:
    """The kind of a file's rows, by its columns and, of labelled pairs, by the first labels."""
    names: list[str] = []

    def pick(found: Sequence[str]) -> Sequence[str]:
        names.extend(found)
        return found

    if not path.is_file():
        raise DataError("there is no such file or folder.", path=path)
    block, _ = next(read_blocks(path, pick, RowProblems(str(path), "skip"), PEEKED, None), ({}, []))
    if "text" in names and ("label" in names or "labels" in names):
        return "classification"
    roles = recognise_roles(names, {}, str(path))
    if "score" in roles:
        return "sts"
    if "label" not in roles:
        return "ranking"
    label = roles["label"]
    of_pairs, _ = recognise_pair_labels(block[label], "premise" in roles, str(path), label)
    if of_pairs == "nli":
        raise DataError(
            "holds pairs with three labels (NLI), which embeddings alone do not tell; measure a "
            "cross-encoder on them with `tenor evaluate pairs`.",
            path=path,
        )
    return "pair classification"


def _a(kind: TaskKind) -> str:
    return f"an {kind}" if kind == "sts" else f"a {kind}"
