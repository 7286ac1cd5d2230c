"""Does learning without labels help? A small encoder pretrained here, adapted, then supervised.

First an encoder is trained from scratch by masked language modelling on MedQuAD's training answers
and travel.stackexchange's bodies, within an hour of two cores (`--pretraining-epochs`). From it,
each `--way`: nothing, more masked language modelling, TSDAE, SimCSE, and the inverse cloze task,
one pass over the same 8,000 of those texts, all with mean pooling; TSDAE gets 24,000 sentences of
them. Beside these, for one seed, CLS pooling: the encoder untouched, and TSDAE on the texts whole.
Each is then followed by the same supervised contrastive stage, on NLI triplets and on MedQuAD's
training pairs. All are measured on MedQuAD's retrieval test (nDCG@10; of its documents those that
answer a query and every fifth other) and on STS-B test (Spearman). Differences are paired over the
queries, and over the STS-B pairs, of one seed each.

Everything lies in `--folder`, and what is done there is not done again, so that the experiment can
be spread over several runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks._data import read
from benchmarks._sides import THREADS, write

WAYS = ("untouched", "mlm", "tsdae", "simcse", "cloze", "untouched_cls", "tsdae_documents")
# CLS pooling, and TSDAE on whole documents with it: the first seed alone.
ONE_SEED = ("untouched_cls", "tsdae_documents")
SUPERVISED = ("none", "nli", "medquad")
SHAPE = {"layers": 4, "hidden": 256, "heads": 8, "vocab_size": 16_000}
TOKENS = 128
TEXTS, PAIRS = 8_000, 6_400  # of the stages without labels, drawn anew with each seed; medquad's
SENTENCES = 24_000  # of these texts, for TSDAE
EVERY = 5  # of the documents that answer no query, every such one stands in the corpus searched


def table(path: Path, columns: dict[str, list[Any]]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        pq.write_table(pa.table(columns), path)
    return str(path)


def texts(folder: Path) -> str:
    found = [*read("medquad", "train")["answer"], *read("travel_se", "corpus")["body"]]
    return table(folder / "texts.parquet", {"text": [t for t in dict.fromkeys(found) if t.strip()]})


def some_texts(folder: Path, seed: int) -> str:
    """Those of the stages without labels; the encoder was pretrained on all."""
    import numpy as np
    import pyarrow.parquet as pq

    found = pq.read_table(texts(folder))["text"].to_pylist()
    order = np.random.default_rng(seed).permutation(len(found))[:TEXTS]
    return table(folder / f"texts-{seed}.parquet", {"text": [found[row] for row in order]})


def some_sentences(folder: Path, seed: int) -> str:
    """Sentences of these texts: TSDAE rebuilds a text from one vector, so it gets short ones."""
    import numpy as np
    import pyarrow.parquet as pq

    from tenor.data.sentences import split_sentences

    found: dict[str, None] = {}
    for text in pq.read_table(some_texts(folder, seed))["text"].to_pylist():
        words = ((one, len(one.split())) for one in split_sentences(text))
        found.update(dict.fromkeys(one for one, count in words if 5 <= count <= 40))
    order = np.random.default_rng(seed).permutation(len(found))[:SENTENCES]
    sentences = list(found)
    return table(folder / f"sentences-{seed}.parquet", {"text": [sentences[row] for row in order]})


def supervised_rows(folder: Path, name: str) -> str:
    if name == "nli":
        nli = read("nli_train_pool", "train")
        rows = {key: nli[key] for key in ("premise", "hypothesis", "label")}
        return table(folder / "nli.parquet", rows)
    pairs = read("medquad", "train")
    rows = {"anchor": pairs["question"][:PAIRS], "positive": pairs["answer"][:PAIRS]}
    return table(folder / "medquad.parquet", rows)


def pretrain(folder: Path, epochs: int) -> str:
    """The encoder that everything starts from."""
    from tenor.recipes.mlm import MlmConfig, train_mlm

    out = folder / "pretrained"
    train_mlm(
        MlmConfig(
            train=texts(folder), out=str(out), from_scratch=True, max_seq_length=TOKENS,
            epochs=epochs, learning_rate=5e-4, batch_size=16, seed=0, resume=out.exists(), **SHAPE,
        )
    )  # fmt: skip
    return str(out / "model")


def adapted(folder: Path, way: str, start: str, seed: int, epochs: int) -> str:
    """The encoder after a stage without labels; its folder."""
    from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
    from tenor.recipes.mlm import MlmConfig, train_mlm
    from tenor.recipes.tsdae import TsdaeConfig, train_tsdae

    if way in ("untouched", "untouched_cls"):
        return start
    out = folder / f"{way}-{seed}"
    some = some_texts(folder, seed)
    common: dict[str, Any] = {
        "out": str(out), "model": start, "seed": seed, "epochs": epochs, "max_seq_length": TOKENS,
        "resume": out.exists(),
    }  # fmt: skip
    if way == "mlm":
        train_mlm(MlmConfig(train=some, batch_size=16, learning_rate=2e-4, **common))
    elif way == "tsdae_documents":
        train_tsdae(TsdaeConfig(train=some, batch_size=8, learning_rate=1e-4, **common))
    elif way == "tsdae":
        some = some_sentences(folder, seed)
        train_tsdae(
            TsdaeConfig(train=some, batch_size=8, learning_rate=3e-4, pooling="mean", **common)
        )
    else:
        making: dict[str, Any] = {"per_document": 2} if way == "cloze" else {}
        train_contrastive(
            ContrastiveConfig(
                pairs_from=some, how=way, batch_size=64, learning_rate=1e-4,
                pooling="mean", **making, **common,
            )
        )  # fmt: skip
    return str(out / "model")


def supervised(folder: Path, name: str, start: str, way: str, seed: int) -> str:
    """The model after the stage with labels."""
    from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive

    if name == "none":
        return start
    out = folder / f"{way}-{seed}-{name}"
    train_contrastive(
        ContrastiveConfig(
            train=supervised_rows(folder, name), out=str(out), model=start, seed=seed,
            batch_size=64, learning_rate=1e-4, max_seq_length=TOKENS, resume=out.exists(),
            pooling="cls" if way == "untouched_cls" else None,
        )
    )  # fmt: skip
    return str(out / "model")


def measure(model: str, stored: Path, pooling: str | None) -> dict[str, Any]:
    """Figures of a model, and of each query and pair; measured once."""
    if stored.exists():
        found: dict[str, Any] = json.loads(stored.read_text())
        return found
    import numpy as np

    from tenor import Embedder
    from tenor.evaluation.retrieval import Retrieval

    embedder = Embedder.load(model, device="cpu", max_seq_length=TOKENS, pooling=pooling)
    corpus, queries, qrels = (read("medquad", name) for name in ("corpus", "queries", "qrels"))
    grades: dict[str, dict[str, float]] = {}
    for query, document, score in zip(
        qrels["query_id"], qrels["doc_id"], qrels["score"], strict=True
    ):
        grades.setdefault(query, {})[document] = score
    right = {document for found in grades.values() for document in found}
    kept = [row for row, name in enumerate(corpus["id"]) if name in right or row % EVERY == 0]
    documents = ([corpus[key][row] for row in kept] for key in ("id", "text"))
    retrieval = Retrieval(
        tuple(documents), (queries["id"], queries["text"]), grades,
        metrics=("ndcg@10",),
    )(embedder)  # fmt: skip
    data = read("stsb", "test")
    a, b = (embedder.encode(data[f"sentence{n}"], normalize=True) for n in (1, 2))
    found = {
        "ndcg@10": np.asarray(retrieval.per_item["ndcg@10"]).round(5).tolist(),
        "cosine": np.einsum("nd,nd->n", a, b).astype(float).round(6).tolist(),
    }
    stored.write_text(json.dumps(found))
    return found


def figures(found: dict[str, Any]) -> dict[str, float]:
    from scipy.stats import spearmanr

    gold = read("stsb", "test")["score"]
    return {
        "medquad_ndcg@10": statistics.mean(found["ndcg@10"]),
        "stsb_spearman": float(spearmanr(found["cosine"], gold).statistic),
    }


def gaps(found: dict[str, Any], base: dict[str, Any]) -> dict[str, list[float]]:
    import numpy as np

    from tenor.evaluation.intervals import paired_bootstrap, paired_bootstrap_spearman

    gold = np.asarray(read("stsb", "test")["score"])
    both = {
        "medquad_ndcg@10": paired_bootstrap(
            np.asarray(found["ndcg@10"]), np.asarray(base["ndcg@10"])
        ),
        "stsb_spearman": paired_bootstrap_spearman(
            np.asarray(found["cosine"]), np.asarray(base["cosine"]), gold
        ),
    }
    return {name: [gap.difference, gap.low, gap.high] for name, gap in both.items()}


def as_table(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds in Markdown; a gain in brackets, with the seeds whose interval is above
    (+) or below (−) nought."""
    lines = [
        "| labels | way | seeds | MedQuAD, nDCG@10 | STS-B, Spearman |",
        "|---|---|---|---|---|",
    ]
    for labels in SUPERVISED:
        for way in WAYS:
            found = [row for row in rows if (row["way"], row["labels"]) == (way, labels)]
            cells = [labels, way, str(len(found))]
            for figure in ("medquad_ndcg@10", "stsb_spearman"):
                text = f"{statistics.mean(row[figure] for row in found):.3f}" if found else ""
                against = [
                    row["minus_untouched"][figure] for row in found if "minus_untouched" in row
                ]
                if against:
                    above = sum(low > 0 for _, low, _ in against)
                    below = sum(high < 0 for _, _, high in against)
                    gain = statistics.mean(gap for gap, _, _ in against)
                    text += f" ({gain:+.3f}; {above} +, {below} −)"
                cells.append(text)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pretraining-epochs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1, help="of each stage without labels")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--way", action="append", choices=WAYS, help="all by default")
    given = parser.parse_args()
    import torch

    from tenor.training.memory import keep_freed_memory

    torch.set_num_threads(THREADS)
    keep_freed_memory()
    given.folder.mkdir(parents=True, exist_ok=True)
    start = pretrain(given.folder, given.pretraining_epochs)
    rows = []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for way in given.way or WAYS:
            if way in ONE_SEED and seed:
                continue
            model = adapted(given.folder, way, start, seed, given.epochs)
            final_only = way in ("untouched", "untouched_cls")
            for labels in SUPERVISED:
                if final_only and labels == "none" and seed != given.first_seed:
                    continue  # nothing in it depends on the seed
                final = supervised(given.folder, labels, model, way, seed)
                stored = given.folder / f"{way}-{seed}-{labels}.json"
                found = measure(final, stored, "cls" if way == "untouched_cls" else None)
                base = given.folder / f"untouched-{seed if labels != 'none' else 0}-{labels}.json"
                row = {"way": way, "labels": labels, "seed": seed, **figures(found)}
                if way != "untouched" and base.exists():
                    row["minus_untouched"] = gaps(found, json.loads(base.read_text()))
                rows.append(row)
                print(row, flush=True)
    print(as_table(rows))
    mlm = json.loads((given.folder / "pretrained" / "result.json").read_text())
    write(
        "adaptation_from_scratch",
        {
            "shape": SHAPE, "tokens": TOKENS, "pretraining_epochs": given.pretraining_epochs,
            "epochs": given.epochs, "pretraining_seconds": mlm["seconds"],
            "perplexity": mlm["after"]["metrics"] if mlm.get("after") else None, "rows": rows,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
