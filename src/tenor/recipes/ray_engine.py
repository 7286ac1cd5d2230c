"""Bulk work on Ray Data: each block of work goes to a worker that holds the model.

A block goes through a worker as one row of the data set, so that Ray can neither cut nor join
blocks: the same texts stand together as with the local engine, and the same numbers come out. The
blocks are read on this machine and the results come back to it, in order, in bounded memory; the
model's files travel through Ray's object store, so that the workers need no shared folder.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tenor.errors import ConfigError, MissingExtraError, TenorError, TrainingError
from tenor.formats.locate import DETERMINING, OTHER_RUNTIMES, locate

__all__ = ["Cluster", "embed_on_ray", "label_on_ray"]

log = logging.getLogger("tenor")

Block = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where to work.

    Args:
        address: of a running cluster (`host:6379`, or `auto` on one of its machines), or `None`
            for this machine alone.
        workers: how many hold a model; by default one for each GPU, or else for each CPU.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError("workers", self.workers, "at least 1")
        if self.address is not None and self.address.startswith("ray://"):
            allowed = "the address of a cluster that this machine is a part of (host:6379 or auto)"
            raise ConfigError("address", self.address, allowed)


def embed_on_ray(
    model: str,
    blocks: Callable[[], Iterator[list[str]]],
    cluster: Cluster,
    *,
    dtype: str = "auto",
    **options: Any,
) -> Iterator[tuple[np.ndarray, int]]:
    """Embed block after block of texts.

    Args:
        model: name, folder or hub id of an embedder.
        blocks: gives the blocks; it is called on another process of this machine.
        cluster: where to work.
        dtype: auto, bf16 or fp32.
        **options: of `Embedder.encode`.

    Yields:
        (block, D) float32 vectors and how many texts were truncated, in the order of the blocks.
    """
    arguments = {"dtype": dtype, "options": options}
    for row in _mapped(partial(_text_rows, blocks), _EmbeddingWorker, model, arguments, cluster):
        width = int(row["width"])
        vectors = np.frombuffer(row["vectors"], dtype=np.float32).reshape(-1, width)
        yield vectors, int(row["truncated"])


def label_on_ray(
    model: str,
    chunks: Callable[[], Iterable[tuple[int, list[tuple[str, str]]]]],
    cluster: Cluster,
    *,
    dtype: str = "auto",
    max_seq_length: int | None = None,
) -> Iterator[tuple[int, np.ndarray, int]]:
    """Score chunk after chunk of pairs.

    Args:
        model: name, folder or hub id of a cross-encoder.
        chunks: gives numbered chunks; it is called on another process of this machine.
        cluster: where to work.
        dtype: auto, bf16 or fp32.
        max_seq_length: tokens of a pair that count; the model's own limit by default.

    Yields:
        Number of a chunk, (pairs,) float32 scores, and how many pairs were truncated.
    """
    arguments = {"dtype": dtype, "max_seq_length": max_seq_length}
    for row in _mapped(partial(_pair_rows, chunks), _LabellingWorker, model, arguments, cluster):
        scores = np.frombuffer(row["scores"], dtype=np.float32)
        yield int(row["number"]), scores, int(row["truncated"])


class _EmbeddingWorker:
    """Holds an embedder; embeds a block at a time."""

    def __init__(self, files: Any, dtype: str, options: dict[str, Any]) -> None:
        from tenor.models.embedder import Embedder

        with _model_folder(files) as folder:
            self.model = Embedder.load(folder, dtype=dtype)
        self.options = options

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        texts = [str(text) for text in batch["texts"][0]]
        vectors, truncated = self.model.encode_counted(texts, progress=False, **self.options)
        return {
            "number": batch["number"],
            "vectors": np.array([vectors.tobytes()], dtype=object),
            "width": np.array([vectors.shape[1]]),
            "truncated": np.array([truncated]),
        }


class _LabellingWorker:
    """Holds a cross-encoder; scores a chunk of pairs at a time."""

    def __init__(self, files: Any, dtype: str, max_seq_length: int | None) -> None:
        from tenor.models.cross_encoder import CrossEncoder

        with _model_folder(files) as folder:
            self.model = CrossEncoder.load(folder, dtype=dtype, max_seq_length=max_seq_length)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        left, right = ([str(text) for text in batch[side][0]] for side in ("left", "right"))
        scores, truncated = self.model.score_counted(
            list(zip(left, right, strict=True)), progress=False
        )
        return {
            "number": batch["number"],
            "scores": np.array([np.asarray(scores, dtype=np.float32).tobytes()], dtype=object),
            "truncated": np.array([truncated]),
        }


def _text_rows(blocks: Callable[[], Iterator[list[str]]]) -> Iterator[Block]:
    for number, texts in enumerate(blocks()):
        yield {"number": number, "texts": texts}


def _pair_rows(
    chunks: Callable[[], Iterable[tuple[int, list[tuple[str, str]]]]],
) -> Iterator[Block]:
    for number, pairs in chunks():
        left, right = ([pair[side] for pair in pairs] for side in (0, 1))
        yield {"number": number, "left": left, "right": right}


def _mapped(
    rows: Callable[[], Iterator[Block]],
    worker: type,
    model: str,
    arguments: dict[str, Any],
    cluster: Cluster,
) -> Iterator[dict[str, Any]]:
    """Send rows through workers that hold a model; yield what they return, in order."""
    ray = _ray()
    with _connected(ray, cluster):
        from ray.data import ActorPoolStrategy, DataContext

        resources = ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        workers = cluster.workers or gpus or cpus
        here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        context.target_max_block_size = 1  # a block of work is a block of Ray's
        log.info("Ray: %d workers of %d CPUs and %d GPUs", workers, cpus, gpus)
        files = ray.put(_files(locate(model)))
        found = ray.data.read_datasource(
            _source(rows),
            override_num_blocks=1,
            num_cpus=0,  # the workers may hold all there are
            label_selector=here,
        ).map_batches(
            worker,
            batch_size=1,
            fn_constructor_args=(files,),
            fn_constructor_kwargs=arguments,
            compute=ActorPoolStrategy(size=workers),
            num_cpus=0 if gpus else 1,
            num_gpus=1 if gpus else 0,
        )  # fmt: skip
        try:
            yield from found.iter_rows()
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, TenorError):
                raise cause from error
            raise TrainingError(f"a Ray worker failed: {error}") from error


def _source(rows: Callable[[], Iterator[Block]]) -> Any:
    """A Ray data source of one task that yields a table of one row at a time."""
    import pyarrow as pa
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    def read() -> Iterator[pa.Table]:
        for row in rows():
            yield pa.Table.from_pylist([dict(row)])

    class Rows(Datasource):  # type: ignore[misc]
        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, *args: Any, **options: Any) -> list[Any]:
            unknown = BlockMetadata(
                num_rows=None, size_bytes=None, input_files=None, exec_stats=None
            )
            return [ReadTask(read, unknown)]

    return Rows()


@contextmanager
def _connected(ray: Any, cluster: Cluster) -> Iterator[None]:
    """A connection to the cluster; one that was open before stays open."""
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address=cluster.address or "local",
            include_dashboard=None if cluster.address else False,
            configure_logging=True,
            logging_level=logging.WARNING,
            log_to_driver=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError("address", cluster.address, f"a running cluster ({error})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "the engine ray") from error
    return ray


def _files(folder: Path) -> dict[str, bytes]:
    """The files of a model, by their names in its folder."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = [path.relative_to(folder) for path in paths]
    return {
        name.as_posix(): (folder / name).read_bytes()
        for name in names
        if DETERMINING.fullmatch(name.name) and not set(name.parent.parts) & set(OTHER_RUNTIMES)
    }


@contextmanager
def _model_folder(files: Any) -> Iterator[Path]:
    """A folder with the files of a model, gone when the model is loaded."""
    import ray

    with tempfile.TemporaryDirectory(prefix="tenor-") as root:
        for name, content in ray.get(files).items():
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield Path(root)
