"""What a user has: every file read as what it holds, and which of them go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tenor.data.documents import HEADS
from tenor.data.findings import Finding
from tenor.data.labelled_texts import read_labelled_texts
from tenor.data.problems import BadRow, OnBadRow
from tenor.data.profile import Profile, profile_table, profile_tagged, profile_texts
from tenor.data.read import read_table
from tenor.data.recognise import Recognised, Split, data_files, recognise
from tenor.data.schema import PairTable, read_pairs
from tenor.data.tagging import TaggedTexts, read_tagged
from tenor.errors import ConfigError, DataError
from tenor.evaluation.beir import read_beir
from tenor.evaluation.retrieval import Retrieval
from tenor.recipes.tell import tell

__all__ = ["EMBEDDER_SHAPES", "Inputs", "Source", "read_inputs"]

# What an embedder can be trained on or measured with.
EMBEDDER_SHAPES = ("pairs", "triplets", "nli", "scored", "labelled_pairs", "retrieval")


@dataclass(frozen=True, eq=False)
class Source:
    """A file, or a folder with a retrieval task, that was read.

    Attributes:
        path: of it.
        shape: the kind of its rows, texts, tagged or retrieval.
        split: train, validation or test, as its name or the user says; `None` for neither.
        roles: role to column, where columns are not named as usual.
        profile: its figures.
        table: its rows, of pairs and labelled texts.
        tagged: its texts and spans.
        texts: its texts without labels; of a retrieval task the documents.
        lines: where these stand in the file.
        task: the retrieval task.
        skipped: rows that cannot be used.
        head: title or summary, where raw texts have one beside them.
    """

    path: str
    shape: str
    split: Split | None
    profile: Profile
    roles: Mapping[str, str] = field(default_factory=dict)
    table: PairTable | None = None
    tagged: TaggedTexts | None = None
    texts: Sequence[str] = ()
    lines: Sequence[int] = ()
    task: Retrieval | None = None
    skipped: Sequence[BadRow] = ()
    head: str | None = None

    @property
    def columns(self) -> dict[str, Sequence[str]]:
        """Its texts, by the role of their column."""
        if self.table is not None:
            return dict(self.table.columns)
        if self.tagged is not None:
            return {"text": self.tagged.texts}
        if self.task is not None:
            return {"query": self.task.queries, "document": self.task.documents}
        return {"text": self.texts}

    def line(self, row: int) -> int:
        """On which line of the file a row stands, from 1; of a document its number."""
        if self.table is not None:
            return int(self.table.lines[row])
        if self.tagged is not None:
            return int(self.tagged.lines[row])
        return self.lines[row] if self.lines else row + 1

    @property
    def corpus(self) -> str:
        """The file of its raw texts: of a retrieval task that of the documents."""
        if self.task is None:
            return self.path
        names = ("corpus.parquet", "corpus.jsonl")
        return next(str(p) for name in names if (p := Path(self.path) / name).is_file())

    def read_like(self, other: Source) -> bool:
        """Whether the names of columns by which another is read hold for this one, too."""
        return self.task is not None or dict(self.roles) == dict(other.roles)

    def to_json(self) -> dict[str, Any]:
        """Its figures, as plain values."""
        return {
            "path": self.path, "shape": self.shape, "split": self.split,
            "columns": dict(self.roles), **self.profile.to_json(),
            "skipped": len(self.skipped),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything that was read.

    Attributes:
        sources: in the order they were named.
        findings: what is wrong with files that could not be read.
    """

    sources: tuple[Source, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def training(self) -> tuple[Source, ...]:
        """What can be trained on with labels: of each shape the file with most rows."""
        largest: dict[str, Source] = {}
        for each in self.sources:
            if each.shape in ("texts", "retrieval") or each.split in ("validation", "test"):
                continue
            before = largest.get(each.shape)
            if before is None or each.profile.rows > before.profile.rows:
                largest[each.shape] = each
        return tuple(largest.values())

    @property
    def raw(self) -> Source | None:
        """The largest file of raw texts; the documents of a retrieval task where there is none."""
        usable = [s for s in self.sources if s.shape == "texts" and s.split in (None, "train")]
        usable = usable or [s for s in self.sources if s.shape == "retrieval"]
        return max(usable, key=lambda each: len(each.texts), default=None)

    def raw_validation(self, source: Source) -> Source | None:
        """The largest file of raw texts that what learns from a source can be validated with."""
        texts = [s for s in self.sources if s.shape == "texts" and s.split == "validation"]
        usable = [each for each in texts if each.read_like(source)]
        return max(usable, key=lambda each: len(each.texts), default=None)

    def held_out(self, source: Source, split: Split) -> Source | None:
        """What a model that is trained on a source can be validated or tested with.

        Of the same shape if there is such a file; an embedder is measured on anything that says
        which texts are near to each other.
        """
        # A retrieval task may measure what is trained on its documents alone.
        of_split = [
            each
            for each in self.sources
            if each.split == split and (each is not source or each.task is not None)
        ]
        shapes = [source.shape] if source.shape != "texts" else []  # these measure no embedder
        if source.shape in (*EMBEDDER_SHAPES, "texts"):
            # A ranking tells more of what is searched than scores, and these more than labels.
            shapes += ["retrieval", "pairs", "triplets", "scored", "labelled_pairs", "nli"]
            if split == "test":
                shapes.insert(0, "retrieval")
        for shape in shapes:
            found = [each for each in of_split if each.shape == shape]
            if found:
                return max(found, key=lambda each: each.profile.rows)
        return None


def read_inputs(
    files: Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    validation: str | None = None,
    test: str | None = None,
) -> Inputs:
    """Read everything that a user names; what cannot be read becomes a finding.

    Args:
        files: files, hub data sets and folders.
        columns: role to column, where columns are not named as usual.
        validation: a file or retrieval folder to validate with, whatever it is called.
        test: the same, to test with.

    Raises:
        DataError: there is no such file, or nothing of it all can be used.
        ConfigError: the columns are in none of the files.
    """
    forced: dict[str, Split] = {}
    if validation is not None:
        forced[validation] = "validation"
    if test is not None:
        forced[test] = "test"
    names = [each for each in data_files(files) if not _same_file(each, forced)]
    names += [each for each in forced if each not in names]
    sources: list[Source] = []
    findings: list[Finding] = []
    used = not columns
    for name in names:
        try:
            found = recognise(name, columns)
            used = used or set(dict(columns or {}).values()) <= set(found.columns)
            if found.shape == "unknown":
                raise DataError(found.reason, path=name)
            source = _read(found)
        except DataError as error:
            if len(names) == 1 and used:
                raise
            findings.append(_unusable(name, error))
            tell(f"left out: {error}")
            continue
        split = forced.get(name, source.split)
        sources.append(replace(source, split=split))
        tell(f"{name}: {source.profile.rows:,} rows, {source.shape.replace('_', ' ')}")
    if not used:
        allowed = "roles and the columns of a file that has all of them"
        raise ConfigError("columns", dict(columns or {}), allowed)
    if not sources:
        raise DataError("; ".join(each.message for each in findings))
    return _with_training(Inputs(tuple(sources), tuple(findings)))


def _same_file(name: str, forced: Mapping[str, Split]) -> bool:
    path = Path(name)
    return any(path.exists() and Path(each).exists() and path.samefile(each) for each in forced)


def _unusable(name: str, error: DataError) -> Finding:
    problem = str(error).removeprefix(f"{name}: ")
    return Finding(code="unusable_file", severity="problem", path=name, message=problem)


def _with_training(inputs: Inputs) -> Inputs:
    """Where all there is, is named like evaluation data, the largest file is trained on."""
    if inputs.training or inputs.raw is not None:
        return inputs
    largest = max(inputs.sources, key=lambda each: each.profile.rows)
    note = Finding(
        code="named_like_evaluation",
        severity="note",
        path=largest.path,
        message=(
            f"it is named like {largest.split} data, but there is nothing else to train on: it is "
            "taken as training data."
        ),
    )
    sources = tuple(
        replace(each, split="train") if each is largest else each for each in inputs.sources
    )
    return Inputs(sources, (*inputs.findings, note))


def _read(found: Recognised) -> Source:
    bad: OnBadRow = "skip"
    if found.shape == "retrieval":
        task = read_beir(found.path)
        profile = profile_texts([*task.queries, *task.documents], len(task.queries))
        return Source(
            found.path, "retrieval", found.split, profile, task=task, texts=task.documents
        )
    if found.shape == "tagged":
        tagged = read_tagged(found.path, columns=found.roles, on_bad_row=bad)
        return Source(
            found.path, "tagged", found.split, profile_tagged(tagged), found.roles,
            tagged=tagged, skipped=tagged.skipped,
        )  # fmt: skip
    if found.shape == "texts":
        return _read_texts(found)
    table = _read_rows(found, bad)
    return Source(
        found.path, table.kind, found.split, profile_table(table), found.roles,
        table=table, skipped=table.skipped,
    )  # fmt: skip


def _read_rows(found: Recognised, bad: OnBadRow) -> PairTable:
    if found.shape != "labelled_texts":
        return read_pairs(found.path, columns=found.roles, on_bad_row=bad)
    try:
        return read_labelled_texts(found.path, columns=found.roles, on_bad_row=bad)
    except DataError:
        # It refuses texts that all have one label; a plan says so and goes on.
        roles = {"text": "text", "label": "label", **found.roles}
        table = read_pairs(found.path, columns=roles, on_bad_row=bad)
        if len(table.label_names or ()) == 1:
            return table
        raise


def _read_texts(found: Recognised) -> Source:
    column = found.roles.get("text", "text")
    table = read_table(found.path, columns=[column], on_bad_row="skip")
    skipped = list(table.skipped)
    texts, lines = [], []
    for text, line in zip(table[column], table.lines.tolist(), strict=True):
        if isinstance(text, str) and text.strip():
            texts.append(text)
            lines.append(line)
        else:
            skipped.append(BadRow(line, "there is no text.", column))
    if not texts:
        raise DataError("it holds no text.", path=found.path, column=column)
    head = next((role for role, names in HEADS.items() if set(names) & set(found.columns)), None)
    return Source(
        found.path, "texts", found.split, profile_texts(texts), found.roles,
        texts=texts, lines=lines, skipped=skipped, head=head,
    )  # fmt: skip
