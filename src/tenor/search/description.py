"""What an index is, as its index.json says: of which model, prepared how, with what beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError, DataError, ModelError
from tenor.models.embedder import Embedder
from tenor.models.encode_options import DOCUMENT_PROMPTS, QUERY_PROMPTS

__all__ = ["IndexDescription", "IndexedModel"]

FORMAT = "tenor index 1"


@dataclass(frozen=True, kw_only=True)
class IndexedModel:
    """Everything about a model that its vectors depend on.

    Attributes:
        name: folder or hub id it is loaded by.
        sha256: hash of its files.
        dimensions: of a vector.
        max_seq_length: tokens of a text that count.
        truncate_dim: leading dimensions kept, or `None`.
        pooling: its pooling modes.
    """

    name: str
    sha256: str
    dimensions: int
    max_seq_length: int
    truncate_dim: int | None
    pooling: tuple[str, ...]

    @classmethod
    def of(cls, model: Embedder) -> IndexedModel:
        """What there is to say of a model.

        Raises:
            ModelError: it was not loaded from a folder, so that nothing tells it from another.
        """
        if model.sha256 is None:
            raise ModelError(
                "this model was not loaded from a folder, and an index must know its model again: "
                "save it, then load it with Embedder.load."
            )
        folder = Path(model.name).expanduser()
        return cls(
            name=str(folder.resolve()) if folder.is_dir() else model.name,
            sha256=model.sha256,
            dimensions=model.dimensions,
            max_seq_length=model.max_seq_length,
            truncate_dim=model.truncate_dim,
            pooling=tuple(model.pooling.modes),
        )

    def load(self, name: str | Path | None = None, **options: Any) -> Embedder:
        """Load the model by its name, or by another name where it was moved.

        Raises:
            ModelError: there is no such model, or another one is found there.
        """
        wanted = self.name if name is None else name
        try:
            model = Embedder.load(
                wanted,
                max_seq_length=self.max_seq_length,
                truncate_dim=self.truncate_dim,
                pooling=self.pooling,
                **options,
            )
        except (ModelError, ConfigError) as error:
            hint = " If the model of this index was moved, name its new place." * (name is None)
            raise ModelError(f"the index's model cannot be loaded: {error}{hint}") from error
        self.check(model)
        return model

    def check(self, model: Embedder) -> None:
        """Raise unless a model gives the vectors that this one gave.

        Raises:
            ModelError: it is another one; names what differs.
        """
        found = IndexedModel.of(model)
        for name in ("sha256", "dimensions", "max_seq_length", "pooling"):
            expected, other = getattr(self, name), getattr(found, name)
            if expected != other:
                raise ModelError(
                    f"the index holds vectors of {self.name} ({name} {_short(expected)}), and "
                    f"{model.name} is another model ({name} {_short(other)}): their vectors do not "
                    "compare. Use the index's own model, or build the index anew with this one."
                )


@dataclass(frozen=True, kw_only=True)
class IndexDescription:
    """The contents of index.json.

    Attributes:
        model: whose vectors these are.
        similarity: "cosine" (vectors are stored with length 1) or "dot".
        dtype: of the stored vectors, "float32" or "float16".
        prompts: text put before a "query" and before a "document".
        columns: of the corpus the index was built from: "text", "id", "metadata".
        documents: how many there are.
        next_key: the internal key of the next document; none is used twice.
        approximate: whether there is an HNSW graph.
        lexical: whether there is a BM25 index.
        data: name of the folder that holds all this.
    """

    model: IndexedModel
    similarity: str
    dtype: str
    prompts: Mapping[str, str]
    columns: Mapping[str, Any]
    documents: int
    next_key: int
    approximate: bool
    lexical: bool
    data: str

    def to_json(self) -> dict[str, Any]:
        """As index.json has it."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], path: Path) -> IndexDescription:
        """Read what index.json has.

        Raises:
            DataError: it is of something else, or of a later version.
        """
        if stored.get("format") != FORMAT:
            raise DataError(
                f"does not describe an index of this version (format {stored.get('format')!r}, "
                f"not {FORMAT!r}).",
                path=path,
            )
        try:
            model = dict(stored["model"])
            values = {field.name: stored[field.name] for field in fields(cls)}
            values["model"] = IndexedModel(**{**model, "pooling": tuple(model["pooling"])})
        except (KeyError, TypeError) as error:
            raise DataError(f"is damaged ({error}); build the index anew.", path=path) from error
        return cls(**values)


def resolve_similarity(model: Embedder, similarity: str | None) -> str:
    """How vectors compare in an index: as asked for, or as the model says.

    Raises:
        ConfigError: it is neither cosine nor dot.
    """
    chosen = similarity or model.similarity_name
    if chosen not in ("cosine", "dot"):
        whose = "" if similarity else f"; the model's own, {chosen}, cannot be searched by"
        raise ConfigError("similarity", similarity, f"cosine or dot{whose}")
    return chosen


def resolve_prompts(
    model: Embedder, query_prompt_name: str | None, document_prompt_name: str | None
) -> dict[str, str]:
    """The text to put before a query and before a document: asked for, usual, or the default.

    Raises:
        ConfigError: the model has no prompt of a name asked for.
    """
    return {
        "query": _prompt(model, "query_prompt_name", query_prompt_name, QUERY_PROMPTS),
        "document": _prompt(model, "document_prompt_name", document_prompt_name, DOCUMENT_PROMPTS),
    }


def _prompt(model: Embedder, field: str, asked: str | None, usual: tuple[str, ...]) -> str:
    if asked is not None and asked not in model.prompts:
        known = ", ".join(model.prompts) or "none: this model has no prompts"
        raise ConfigError(field, asked, f"one of {known}")
    name = asked or next((name for name in usual if name in model.prompts), model.default_prompt)
    return "" if name is None else model.prompts[name]


def _short(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 12 else str(value)
