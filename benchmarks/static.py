"""Static embedders beside the encoder that one of them is distilled from.

Models: Word2Vec trained on MedQuAD's training answers and travel.stackexchange's bodies;
all-MiniLM-L6-v2 distilled with the same texts, and without any; all-MiniLM-L6-v2 itself. Each on
STS-B test (Spearman), MedQuAD retrieval (nDCG@10, test queries, the whole corpus) and Banking77
(accuracy of scikit-learn's logistic regression on the embeddings), with its texts a second, in
turns, on Rotten Tomatoes' sentences and on MedQuAD's answers. STS-B and Banking77 are not seen in
training, and of MedQuAD the answers of the training split alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import FOLDER, MODEL, read
from benchmarks._sides import THREADS, Side, median, ratios, serve, write

SIDES = ("word2vec", "distilled", "distilled without text", "all-MiniLM-L6-v2")
WORKLOADS = {"rotten_tomatoes": ("test", "text"), "medquad": ("corpus", "text")}
WORD2VEC = {"dimensions": 300, "epochs": 10, "min_count": 2}


def write_texts(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [*read("medquad", "train")["answer"], *read("travel_se", "corpus")["body"]]
    pq.write_table(pa.table({"text": list(dict.fromkeys(texts))}), path)


def make(folder: Path) -> dict[str, Any]:
    """Train and distil what is not there yet; the records of the runs."""
    from tenor.recipes.distill import DistillConfig, distill
    from tenor.recipes.word2vec import Word2VecConfig, train_word2vec

    folder.mkdir(parents=True, exist_ok=True)
    texts = folder / "texts.parquet"
    if not texts.exists():
        write_texts(texts)
    resume = {"resume": True}
    train_word2vec(
        Word2VecConfig(train=str(texts), out=str(folder / SIDES[0]), **WORD2VEC, **resume)
    )
    distill(DistillConfig(model=MODEL, text=str(texts), out=str(folder / SIDES[1]), **resume))
    distill(DistillConfig(model=MODEL, out=str(folder / SIDES[2]), **resume))
    kept = ("rows", "words", "sentences", "fit", "phrase_count", "tokens", "dimensions", "seconds")
    records = {}
    for name in SIDES[:3]:
        result = json.loads((folder / name / "result.json").read_text())
        records[name] = {key: result[key] for key in kept if key in result}
    return records


def load(name: str, folder: str) -> Any:
    from tenor import Embedder
    from tenor.models.static import StaticEmbedder

    if name == MODEL:
        return Embedder.load(MODEL, device="cpu")
    return StaticEmbedder.load(Path(folder) / name / "model", device="cpu")


def side(name: str, folder: str) -> None:
    import torch

    torch.set_num_threads(THREADS)
    model = load(name, folder)
    texts = {key: read(key, split)[column] for key, (split, column) in WORKLOADS.items()}
    texts["medquad"] = texts["medquad"][::10]
    model.encode(texts["rotten_tomatoes"][:256])

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        if "quality" in request:
            return quality(model)
        answer = {}
        for key, some in texts.items():
            start = time.perf_counter()
            model.encode(some)
            answer[key] = len(some) / (time.perf_counter() - start)
        return answer

    serve({"dimensions": model.dimensions, **{k: len(v) for k, v in texts.items()}}, turn)


def quality(model: Any) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    from tenor.data.schema import read_pairs
    from tenor.evaluation.beir import read_beir
    from tenor.evaluation.validation import validation

    found: dict[str, Any] = {}
    measure, metric = validation(read_pairs(FOLDER / "stsb" / "test.parquet"))
    for key, result, figure in (
        ("stsb_test", measure(model), metric),
        ("medquad", read_beir(FOLDER / "medquad")(model), "ndcg@10"),
    ):
        found[f"{key}_{figure}"] = result.metrics[figure]
        found[f"{key}_{figure}_interval"] = result.intervals[figure]
    train, test = read("banking77", "train"), read("banking77", "test")
    vectors = {
        split: model.encode(data["text"]) for split, data in (("train", train), ("test", test))
    }
    classifier = LogisticRegression(C=10, max_iter=1000).fit(vectors["train"], train["label"])
    right = classifier.predict(vectors["test"]) == np.array(test["label"])
    found["banking77_accuracy"] = float(right.mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--models", help="folder to keep the models in, and to take them from")
    given = parser.parse_args()
    if given.side:
        side(given.side, given.models)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.models or scratch)
        records = make(folder)
        sides = [Side("static", name, ["--models", str(folder)]) for name in SIDES]
        for number in range(given.turns):
            for one in sides:
                rates = one.turn()
                shown = ", ".join(f"{key} {rates[key]:,.0f}" for key in WORKLOADS)
                print(f"turn {number + 1}: {one.name}: {shown} texts/s", flush=True)
        rows = []
        for one in sides:
            rows.append(
                {
                    "side": one.name,
                    "dimensions": one.ready["dimensions"],
                    "texts_per_second": {key: median(one, key) for key in WORKLOADS},
                    "faster_than_the_encoder": None
                    if one is sides[-1]
                    else {key: ratios(one, sides[-1], key) for key in WORKLOADS},
                    "made": records.get(one.name),
                }
            )
        for row, one in zip(rows, sides, strict=True):
            row.update({k: v for k, v in one.turn({"quality": True}).items() if k != "peak_mib"})
            one.close()
            print(row)
    texts = {key: sides[0].ready[key] for key in WORKLOADS}
    write("static", {"texts": texts, "word2vec": WORD2VEC, "sides": rows})


if __name__ == "__main__":
    main()
