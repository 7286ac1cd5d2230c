"""The commands: each turns flags into a call of the library, and its answer into text or JSON.

Nothing heavy is imported here before a command runs: `tenor --help` must be quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from tenor.cli import (
    classifier_commands,
    compare_commands,
    few_shot_commands,
    mteb_commands,
    plan_commands,
    report_commands,
    reproduce_commands,
    search_commands,
    static_commands,
    sweep_commands,
    tagger_commands,
)
from tenor.cli.adapt_commands import adapt
from tenor.cli.augmented_commands import augmented
from tenor.cli.cross_encoder_commands import cross_encoder, pairs
from tenor.cli.data_commands import duplicates, mine
from tenor.cli.output import AsJson, print_result, print_run
from tenor.cli.unsupervised_commands import mlm, tsdae
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.demo import DemoConfig

if TYPE_CHECKING:
    from tenor.evaluation.result import EvaluationResult

__all__ = ["add_to"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def add_to(app: App) -> None:
    """Add every command to the application."""
    train = App(name="train", help="Train a model; each recipe is a command.")
    train.command(contrastive)
    train.command(cross_encoder)
    train.command(augmented)
    train.command(tsdae)
    train.command(mlm)
    evaluate = App(name="evaluate", help="Measure a model on held-out data.")
    evaluate.command(sts)
    evaluate.command(retrieval)
    evaluate.command(pairs)
    mteb_commands.add_to(evaluate)
    plan_commands.add_to(app)
    app.command(train)
    app.command(evaluate)
    app.command(adapt)
    app.command(encode)
    app.command(mine)
    app.command(duplicates)
    search_commands.add_to(app)
    static_commands.add_to(app, train)
    classifier_commands.add_to(app, train, evaluate)
    few_shot_commands.add_to(app, train)
    tagger_commands.add_to(train, evaluate)
    sweep_commands.add_to(app)
    compare_commands.add_to(app)
    report_commands.add_to(app)
    reproduce_commands.add_to(app)
    app.command(demo)


def contrastive(
    settings: Annotated[ContrastiveConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Fine-tune an embedder on pairs, triplets, scored or labelled pairs, or labelled texts.

    Without labels, `--pairs-from FILE --how HOW` makes pairs of the documents themselves.
    """
    from tenor.recipes.contrastive import train_contrastive

    print_run(train_contrastive(settings), as_json=json_output)


def sts(
    model: str,
    file: str,
    /,
    *,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    columns: dict[str, str] | None = None,
    dtype: str = "auto",
    on_bad_row: str = "error",
) -> None:
    """Correlate the similarity of scored pairs with their scores: ten correlations.

    Args:
        model: a name, folder or hub id.
        file: sentence1, sentence2, score.
        json_output: print one JSON object on stdout.
        columns: role = column of the file, where columns are not named as usual.
        dtype: auto, bf16 or fp32.
        on_bad_row: error, or skip.
    """
    from tenor.data.schema import read_pairs
    from tenor.errors import DataError
    from tenor.evaluation.similarity import EmbeddingSimilarity

    table = read_pairs(file, columns=columns, on_bad_row=on_bad_row)  # type: ignore[arg-type]
    if table.kind != "scored" or table.target is None:
        raise DataError(
            f"holds {table.kind}; scored pairs are needed: sentence1, sentence2, score.", path=file
        )
    left, right = table.columns.values()
    data = {"path": file, "sha256": table.sha256}
    embedder = _load(model, dtype)
    result = EmbeddingSimilarity(left, right, table.target, data=data)(embedder)
    print_result(_named(result, embedder), as_json=json_output)


def retrieval(
    model: str,
    folder: Path,
    /,
    *,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    dtype: str = "auto",
) -> None:
    """Search a corpus with queries whose relevant documents are known.

    Args:
        model: a name, folder or hub id.
        folder: corpus.parquet (id, text), queries.parquet (id, text), qrels.parquet (query_id,
            doc_id, score), or the same as BEIR writes them.
        json_output: print one JSON object on stdout.
        dtype: auto, bf16 or fp32.
    """
    from tenor.evaluation.beir import read_beir

    task = read_beir(folder)
    embedder = _load(model, dtype)
    print_result(_named(task(embedder), embedder), as_json=json_output)


def encode(
    model: str,
    file: str,
    /,
    *,
    out: Path,
    column: str = "text",
    prompt: str | None = None,
    normalize: bool | None = None,
    truncate_dim: int | None = None,
    tokens_per_batch: int | None = None,
    dtype: str = "auto",
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    workers: int | None = None,
) -> None:
    """Write the embedding of every text of a file, in flat memory.

    Args:
        model: a name, folder or hub id.
        file: csv, tsv, jsonl, parquet or txt (a text a line), also .gz.
        out: Parquet file with columns `row` (from 0) and `embedding`, in the order of the file.
        column: which column holds the texts.
        prompt: text to put before each text.
        normalize: scale vectors to length 1; as the model does by default.
        truncate_dim: keep only so many leading dimensions.
        tokens_per_batch: tokens encoded at a time.
        dtype: auto, bf16 or fp32.
        engine: local, or ray for Ray Data on this machine or a cluster (extra ray).
        address: of a running Ray cluster, with engine ray; this machine alone by default.
        workers: with engine ray, how many hold the model; one for each GPU or CPU by default.
    """
    from tenor.errors import ConfigError
    from tenor.models.bulk import keep_few_kernels
    from tenor.recipes.encode import encode_file, encode_file_on_ray

    keep_few_kernels()

    options: dict[str, Any] = {
        "column": column,
        "prompt": prompt,
        "normalize": normalize,
        "truncate_dim": truncate_dim,
        "tokens_per_batch": tokens_per_batch,
    }
    if engine == "ray":
        encode_file_on_ray(
            model, file, out, address=address, workers=workers, dtype=dtype, **options
        )
        return
    for field, value in (("address", address), ("workers", workers)):
        if value is not None:
            raise ConfigError(field, value, "left out without --engine ray")
    encode_file(_load(model, dtype), file, out, **options)


def demo(
    settings: Annotated[DemoConfig | None, Parameter(name="*")] = None, *, config: Config = None
) -> None:
    """Fine-tune all-MiniLM-L6-v2 to find Python functions by what they do, and show the gain."""
    from tenor.recipes.demo import run_demo

    run_demo(settings or DemoConfig())


def _load(model: str, dtype: str) -> Any:
    from tenor.models.embedder import Embedder

    return Embedder.load(model, dtype=dtype)


def _named(result: EvaluationResult, embedder: Any) -> EvaluationResult:
    from dataclasses import replace

    return replace(result, model={"name": embedder.name, "sha256": embedder.sha256 or ""})
