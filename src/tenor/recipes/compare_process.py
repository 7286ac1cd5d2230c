"""A comparison's part in a process of its own: one model is loaded, timed and measured.

So that what one model leaves behind in memory and caches is not counted for the next.
`python -m tenor.recipes.compare_process REQUEST ANSWER LEVEL` reads the request and writes the
answer, both JSON, and beside the answer the values of all items, as Parquet; LEVEL is the log's.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tenor.errors import TenorError
from tenor.evaluation.local_tasks import LocalTask
from tenor.formats.atomic import write_text
from tenor.formats.model_kind import ModelKind, model_kind

__all__ = ["ITEM_COLUMNS", "answer_request"]

log = logging.getLogger("tenor")

ITEM_COLUMNS = (
    "task", "model", "item", "id", "text", "text_2", "gold", "gold_value", "found", "value", "rank",
)  # fmt: skip


def answer_request(request: dict[str, Any], items_file: Path) -> dict[str, Any]:
    """Load a model, time it, measure it on every task, and store the items' values.

    Args:
        request: `model`, `dtype`, `device`, `seed`, `tasks` (of which each is a `LocalTask`'s
            fields), `texts` in bulk, `asked` texts of requests and `pairs` to time it with,
            `batches` and `requests`.
        items_file: Parquet file to write.

    Returns:
        Plain values: what the model is, `speed`, `latency`, `memory` and `tasks`.

    Raises:
        TenorError: the model cannot be loaded or timed.
    """
    import tenor.models.encoder  # noqa: F401  # what the libraries take is no model's
    from tenor.training.memory import peak_bytes

    runtime = peak_bytes()
    start = time.perf_counter()
    model, kind = _load(request)
    found = _facts(model, kind, request["model"]) | {"load_seconds": time.perf_counter() - start}
    found |= _times(model, request)
    found["memory"] = {"runtime_bytes": runtime, "peak_bytes": peak_bytes(), **_gpu_peak()}
    found["tasks"] = _tasks(model, kind, request, items_file)
    return found


def _load(request: dict[str, Any]) -> tuple[Any, ModelKind]:
    from tenor.formats.locate import locate
    from tenor.models.classifier import TextClassifier
    from tenor.models.cross_encoder import CrossEncoder
    from tenor.models.embedder import Embedder

    kind = model_kind(locate(request["model"]))
    loaders: dict[ModelKind, Any] = {
        "embedder": Embedder,
        "embedding classifier": TextClassifier,
        "classifier": TextClassifier,
        "cross-encoder": CrossEncoder,
    }
    device = None if request["device"] == "auto" else request["device"]
    model = loaders[kind].load(request["model"], device=device, dtype=request["dtype"])
    return model, kind


def _facts(model: Any, kind: ModelKind, name: str) -> dict[str, Any]:
    from tenor.formats.locate import locate, model_files
    from tenor.models.embedder import Embedder
    from tenor.models.static import StaticEmbedder

    module = getattr(model, "embedder", model)
    limit = model.max_seq_length
    return {
        "name": name,
        "kind": "static embedder" if isinstance(model, StaticEmbedder) else kind,
        "sha256": model.sha256 or "",
        "dimensions": module.dimensions if isinstance(module, Embedder) else None,
        "max_seq_length": limit if limit < 1 << 20 else None,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "size_bytes": sum(path.stat().st_size for path in model_files(locate(name))),
        "dtype": str(module.encoder.dtype).removeprefix("torch."),
        "device": str(module.device),
    }


def _times(model: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Inputs a second, and the latency of requests, with the inputs that the request brings."""
    from tenor.evaluation.speed import measure_latency, measure_throughput
    from tenor.models.cross_encoder import CrossEncoder

    of_pairs = isinstance(model, CrossEncoder)
    pairs = [tuple(pair) for pair in request["pairs"]]
    inputs, asked = (pairs, pairs) if of_pairs else (request["texts"], request["asked"])
    answer: Callable[[list[Any]], Any] = _answer(model)
    log.info("%s: timing %d %s", request["model"], len(inputs), "pairs" if of_pairs else "texts")
    bulk = measure_throughput(answer, inputs)
    latencies = {
        str(batch): asdict(
            measure_latency(
                answer, asked, batch=batch, requests=request["requests"], seed=request["seed"]
            )
        )
        for batch in request["batches"]
    }
    speed = {"unit": "pairs" if of_pairs else "texts", **asdict(bulk)}
    return {"speed": speed, "latency": latencies}


def _answer(model: Any) -> Callable[[list[Any]], Any]:
    """What a model of each kind does with a list of inputs."""
    from tenor.models.classifier import TextClassifier
    from tenor.models.cross_encoder import CrossEncoder

    if isinstance(model, TextClassifier):
        return lambda texts: model.predict_proba(texts, progress=False)
    if isinstance(model, CrossEncoder):
        return lambda pairs: model.score(pairs, progress=False)
    return lambda texts: model.encode(texts, progress=False)


def _gpu_peak() -> dict[str, int]:
    import torch

    if not torch.cuda.is_available():
        return {}
    return {"gpu_peak_bytes": int(torch.cuda.max_memory_allocated())}


def _tasks(
    model: Any, kind: ModelKind, request: dict[str, Any], items_file: Path
) -> dict[str, Any]:
    import pyarrow as pa

    from tenor.formats.table_writer import written_table
    from tenor.models.embedding_classifier import EmbeddingClassifier
    from tenor.recipes.compare_data import read_task
    from tenor.recipes.compare_tasks import can_measure, measure_task

    types = {"item": pa.int64(), "gold_value": pa.float64(), "value": pa.float64()}
    types["rank"] = pa.int64()
    schema = pa.schema([(name, types.get(name, pa.string())) for name in ITEM_COLUMNS])
    found: dict[str, Any] = {}
    with written_table(items_file, schema) as writer:
        for fields in request["tasks"]:
            task = LocalTask(
                **{**fields, "test": Path(fields["test"]),
                   "train": None if fields["train"] is None else Path(fields["train"])}
            )  # fmt: skip
            if not can_measure(kind, task.kind):
                why = f"{kind}s are not measured on {task.kind}"
                found[task.name] = {"not_measured": why}
                continue
            data = read_task(task)
            # Of an embedder with a classifier, what the task asks for.
            own = isinstance(model, EmbeddingClassifier) and task.kind != "classification"
            part = model.embedder if own else model
            try:
                measured = measure_task(part, data, seed=request["seed"])
            except TenorError as error:
                log.warning("%s, %s: %s", request["model"], task.name, error)
                found[task.name] = {"error": str(error)}
                continue
            count = len(measured.items["value"])
            fixed = {"task": task.name, "model": request["model"]}
            columns = {name: [value] * count for name, value in fixed.items()} | measured.items
            columns["item"] = list(range(count))
            writer.write([columns[name] for name in ITEM_COLUMNS])
            found[task.name] = {"metric": measured.metric, **measured.result.to_json()}
            value = measured.result.metrics[measured.metric]
            log.info("%s, %s: %s %.4f", request["model"], task.name, measured.metric, value)
    return found


def main(arguments: list[str]) -> int:
    """Answer the request in one file with another; 1 where the answer is an error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers, log.propagate = [handler], False
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    log.setLevel(arguments[2])
    answer_file = Path(arguments[1])
    try:
        answer = answer_request(request, answer_file.with_suffix(".parquet"))
    except TenorError as error:
        answer = {"error": str(error)}
    except Exception as error:  # the libraries below raise all kinds; the other models go on
        log.exception("%s", request["model"])
        answer = {"error": f"{type(error).__name__}: {error}"}
    except KeyboardInterrupt:
        return 1  # whoever started this process is interrupted as well, and says so
    write_text(answer_file, json.dumps(answer, ensure_ascii=False))
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
