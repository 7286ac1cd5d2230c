"""The commands of text classifiers: training one, measuring one, labelling a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tenor.cli.output import AsJson, print_run
from tenor.recipes.classifier import ClassifierConfig

if TYPE_CHECKING:
    from tenor.evaluation.classification_result import ClassificationResult

__all__ = ["add_to", "classification", "classifier", "predict"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]
SHOWN = 20  # labels, or confusions, that a table shows


def add_to(app: App, train: App, evaluate: App) -> None:
    """Add the commands `train classifier`, `evaluate classification` and `predict`.

    Args:
        app: the application.
        train: its group of recipes.
        evaluate: its group of evaluations.
    """
    train.command(classifier)
    evaluate.command(classification)
    app.command(predict)


def classifier(
    settings: Annotated[ClassifierConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Train a text classifier: fine-tuned, or a head on a frozen encoder.

    `--head logistic` fits logistic regression on a frozen embedder's vectors in seconds: try it
    first, it is what the others must beat.
    """
    from tenor.recipes.classifier import train_classifier

    print_run(train_classifier(settings), as_json=json_output)


def classification(
    model: str,
    file: str,
    /,
    *,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    columns: dict[str, str] | None = None,
    threshold: float = 0.5,
    max_seq_length: int | None = None,
    dtype: str = "auto",
    on_bad_row: str = "error",
) -> None:
    """Measure a classifier: accuracy, F1, ROC-AUC, calibration, log loss, and label by label.

    Args:
        model: a name, folder or hub id of a classifier.
        file: text and label; a list of labels, or several with | between them, for several.
        json_output: print one JSON object on stdout.
        columns: role (text, label) = column of the file, where columns have other names.
        threshold: probability from which a label is given, where a text may have several.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        dtype: auto, bf16 or fp32.
        on_bad_row: error, or skip.
    """
    from dataclasses import replace

    from tenor.cli.output import print_result
    from tenor.data.labelled_texts import read_labelled_texts
    from tenor.evaluation.classification import Classification
    from tenor.models.classifier import TextClassifier

    loaded = TextClassifier.load(model, dtype=dtype, max_seq_length=max_seq_length)
    table = read_labelled_texts(
        file,
        columns=columns,
        known=loaded.labels,
        multi_label=loaded.multi_label,
        on_bad_row=on_bad_row,  # type: ignore[arg-type]
    )
    result = Classification(table, threshold=threshold)(loaded)
    result = replace(result, model={"name": loaded.name, "sha256": loaded.sha256 or ""})
    print_result(result, as_json=json_output)
    if not json_output:
        _print_labels(result)


def predict(
    model: str,
    file: str,
    /,
    *,
    out: Path,
    column: str | None = None,
    threshold: float = 0.5,
    all_probabilities: bool = False,
    max_seq_length: int | None = None,
    tokens_per_batch: int | None = None,
    dtype: str = "auto",
    on_bad_row: str = "error",
) -> None:
    """Write every row of a file with the label of its text, or the spans in it, in flat memory.

    Args:
        model: a name, folder or hub id of a classifier or a tagger.
        file: csv, tsv, jsonl, parquet or txt (a text a line), also .gz; for a tagger also CoNLL
            columns.
        out: .csv, .tsv, .jsonl or .parquet file: the rows with `label` and `probability`, or from a
            tagger with `spans`.
        column: which column holds the texts (for a tagger, or lists of words); text by default.
        threshold: probability from which a label is given, where a text may have several.
        all_probabilities: add a column for the probability of each label.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        tokens_per_batch: tokens run at a time.
        dtype: auto, bf16 or fp32.
        on_bad_row: error, or skip to leave rows out that have no text.
    """
    from tenor.errors import ConfigError
    from tenor.formats.locate import locate
    from tenor.formats.tagger import is_tagger

    if is_tagger(locate(model)):
        from tenor.models.tagger import Tagger
        from tenor.recipes.predict_spans import predict_spans_file

        if all_probabilities or threshold != 0.5:
            field = "all_probabilities" if all_probabilities else "threshold"
            value = True if all_probabilities else threshold
            raise ConfigError(field, value, "left out with a tagger")
        predict_spans_file(
            Tagger.load(model, dtype=dtype, max_seq_length=max_seq_length),
            file,
            out,
            column=column,
            on_bad_row=on_bad_row,  # type: ignore[arg-type]
            tokens_per_batch=tokens_per_batch,
        )
        return
    from tenor.models.classifier import TextClassifier
    from tenor.recipes.predict import predict_file

    loaded = TextClassifier.load(model, dtype=dtype, max_seq_length=max_seq_length)
    predict_file(
        loaded,
        file,
        out,
        column=column or "text",
        threshold=threshold,
        all_probabilities=all_probabilities,
        on_bad_row=on_bad_row,  # type: ignore[arg-type]
        tokens_per_batch=tokens_per_batch,
    )


def _print_labels(result: ClassificationResult) -> None:
    """A row for each label, and what was taken for what."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table("label", "precision", "recall", "F1", "texts", "given", title="labels")
    rows = result.per_label
    if len(rows) > SHOWN:
        rows = sorted(rows, key=lambda row: row["f1"])[:SHOWN]
        table.title = f"the {SHOWN} labels with the lowest F1, of {len(result.labels)}"
    for row in rows:
        figures = (f"{row[name]:.4f}" for name in ("precision", "recall", "f1"))
        table.add_row(escape(row["label"]), *figures, f"{row['texts']:,}", f"{row['given']:,}")
    console.print(table)
    wrong = [cell for cell in result.confusion if cell["gold"] != cell["found"]]
    if not wrong:
        return
    if len(result.labels) <= 10:
        names = [escape(label) for label in result.labels]
        table = Table("is \\ was given", *names, title="confusion matrix")
        for label, counts in zip(names, result.confusion_matrix.tolist(), strict=True):
            table.add_row(label, *(f"{count:,}" for count in counts))
    else:
        table = Table("is", "was given", "texts", title="most frequent confusions")
        for cell in wrong[:SHOWN]:
            gold, found = escape(cell["gold"]), escape(cell["found"])
            table.add_row(gold, found, f"{cell['count']:,}")
    console.print(table)
