"""Augmented SBERT: does a cross-encoder's silver help where gold is scarce?

`stsb`: gold are 1,000 pairs of STS-B train, the pool the sentences of its other pairs without their
scores. Sides: the model as it is, gold-only, gold + silver, and all 5,749 labels; the same number
of updates each, weights chosen on STS-B validation, compared on STS-B test.

`twitter`: out of the domain. Gold is STS-B train, the pool sentences of Twitter's news comments
without labels; weights are chosen on 1,000 labelled Twitter pairs, compared on Twitter's test.

Each seed draws its own gold pairs. Differences are paired over the test pairs: a seed's own
interval, and one of the mean over the seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import MODEL, read
from benchmarks._sides import write

GOLD = 1_000
TWITTER_POOL = 10_000  # pairs whose texts make the pool
TWITTER_VALIDATION = 1_000
SIDES = ("base", "gold-only", "gold-silver", "all labels")


def table(path: Path, columns: dict[str, list[Any]], rows: Any) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chosen = {name: [values[row] for row in rows] for name, values in columns.items()}
    pq.write_table(pa.table(chosen), path)
    return str(path)


def stsb(folder: Path, seed: int) -> dict[str, str]:
    train, names = read("stsb", "train"), ("sentence1", "sentence2", "score")
    order = np.random.default_rng(seed).permutation(len(train["score"]))
    unlabelled = {name: train[name] for name in names[:2]}
    found = {
        "gold": table(folder / "gold.parquet", train, order[:GOLD]),
        "pool": table(folder / "pool.parquet", unlabelled, order[GOLD:]),
        "all": table(folder / "all.parquet", train, order),
    }
    for split in ("validation", "test"):
        rows = read("stsb", split)
        found[split] = table(folder / f"{split}.parquet", rows, range(len(rows["score"])))
    return found


def twitter(folder: Path, seed: int) -> dict[str, str]:
    gold, train, test = read("stsb", "train"), read("twitter_url", "train"), {}
    order = np.random.default_rng(seed).permutation(len(train["label"]))
    held, rest = np.split(order, [TWITTER_VALIDATION])
    unlabelled = {name: train[name] for name in ("sentence1", "sentence2")}
    test = read("twitter_url", "test")
    return {
        "gold": table(folder / "gold.parquet", gold, range(len(gold["score"]))),
        "pool": table(folder / "pool.parquet", unlabelled, rest[:TWITTER_POOL]),
        "validation": table(folder / "validation.parquet", train, held),
        "test": table(folder / "test.parquet", test, range(len(test["label"]))),
    }


def run(workload: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Train all sides of one seed; the cosine of every test pair, a side."""
    from tenor.recipes.augmented import AugmentedConfig, train_augmented

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = (stsb if workload == "stsb" else twitter)(folder, seed)
        everything = files.pop("all", None)
        config = AugmentedConfig(
            **files, out=str(folder / "run"), model=MODEL, seed=seed, **settings
        )
        result = train_augmented(config)
        models = {"base": MODEL}
        models |= {stage: f"{config.out}/{stage}/model" for stage in ("gold-only", "gold-silver")}
        if everything is not None:
            updates = result["steps"]["gold-silver"]
            models["all labels"] = all_labels(config, everything, updates)
        cosines, gold = {}, None
        for side, model in models.items():
            cosines[side], gold = measured(model, files["test"])
    assert gold is not None
    return {"seed": seed, "result": result, "cosines": cosines, "gold": gold}


def all_labels(config: Any, path: str, updates: int) -> str:
    """The model trained on every label, with about as many updates."""
    from tenor.data.read import count_rows
    from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive

    steps = -(-(count_rows(path) or 0) // config.batch_size)
    settings = {**config.arguments(), "epochs": max(1, round(updates / steps))}
    settings["evaluate_every"] = max(1, updates // 8)
    out = str(Path(config.out).parent / "all")
    train_contrastive(
        ContrastiveConfig(
            **settings, train=path, validation=config.validation, out=out, model=MODEL,
            loss="cosine" if config.loss == "auto" else config.loss,
        )
    )  # fmt: skip
    return out + "/model"


def measured(model: str, path: str) -> tuple[Any, Any]:
    from tenor.data.schema import read_pairs
    from tenor.models.embedder import Embedder

    rows = read_pairs(path)
    left, right = rows.columns.values()
    embedder = Embedder.load(model)
    a, b = (embedder.encode(texts, normalize=True) for texts in (left, right))
    return np.einsum("nd,nd->n", a, b), np.asarray(rows.target)


def spearman_differences(runs: list[dict[str, Any]], one: str, other: str) -> dict[str, Any]:
    """Of the mean over the seeds, resampling the test pairs that all seeds share."""
    from tenor.evaluation.correlation import correlations
    from tenor.evaluation.intervals import bootstrap_correlations, percentile_interval

    columns = np.stack([run["cosines"][side] for side in (one, other) for run in runs], axis=1)
    _, found = correlations(columns, runs[0]["gold"])
    _, samples = bootstrap_correlations(columns, runs[0]["gold"])
    half = len(runs)

    def gap(values: Any) -> Any:
        return values[..., :half].mean(-1) - values[..., half:].mean(-1)

    low, high = percentile_interval(gap(samples))
    return {"mean": float(gap(found)), "low": low, "high": high}


def precision_differences(runs: list[dict[str, Any]], one: str, other: str) -> dict[str, Any]:
    """The same of average precision."""
    from sklearn.metrics import average_precision_score

    from tenor.evaluation.intervals import percentile_interval

    labels = runs[0]["gold"]

    def gap(rows: Any) -> float:
        def mean(side: str) -> float:
            return statistics.mean(
                average_precision_score(labels[rows], run["cosines"][side][rows]) for run in runs
            )

        return mean(one) - mean(other)

    generator = np.random.default_rng(0)
    samples = [gap(generator.integers(0, len(labels), len(labels))) for _ in range(300)]
    low, high = percentile_interval(samples)
    return {"mean": gap(np.arange(len(labels))), "low": low, "high": high}


def figures(workload: str, cosine: Any, gold: Any) -> dict[str, float]:
    if workload == "stsb":
        from scipy.stats import spearmanr

        return {"spearman": float(spearmanr(cosine, gold).statistic)}
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "average_precision": float(average_precision_score(gold, cosine)),
        "auc": float(roc_auc_score(gold, cosine)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", default="stsb", choices=("stsb", "twitter"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="a setting, such as top_k=3")
    given = parser.parse_args()
    import ast

    settings: dict[str, Any] = dict(SETTINGS[given.workload])
    for one in given.set:
        name, _, value = one.partition("=")
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[name] = value
    runs = []
    for seed in range(given.seeds):
        runs.append(run(given.workload, seed, settings))
        one = runs[-1]
        for side, cosine in one["cosines"].items():
            print(
                f"seed {seed}: {side}: {figures(given.workload, cosine, one['gold'])}", flush=True
            )
        report(given.workload, settings, runs)  # of the seeds so far: each takes half an hour


def report(workload: str, settings: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    differences = spearman_differences if workload == "stsb" else precision_differences
    sides = [side for side in SIDES if side in runs[0]["cosines"]]
    rows = []
    for side in sides:
        values = [figures(workload, run["cosines"][side], run["gold"]) for run in runs]
        rows.append({"side": side, "seeds": values, **{
            name: statistics.mean(value[name] for value in values) for name in values[0]
        }})  # fmt: skip
    pairs = [("gold-silver", other) for other in ("gold-only", "base")] + [("gold-only", "base")]
    if "all labels" in sides:
        pairs.append(("gold-silver", "all labels"))
    found = {f"{one} - {other}": differences(runs, one, other) for one, other in pairs}
    kept = ("comparison", "test", "candidates", "labeller", "silver", "steps", "best_step", "kept",
            "silver_helps", "seconds")  # fmt: skip
    for row in rows:
        print(row)
    for name, value in found.items():
        print(name, value)
    write(
        f"augmented_{workload}",
        {
            "settings": settings,
            "gold": GOLD if workload == "stsb" else None,
            "sides": rows,
            "differences": found,
            "runs": [{"seed": run["seed"], **_brief(run["result"], kept)} for run in runs],
        },
    )


def _brief(result: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    chosen = {name: result[name] for name in names if name in result}
    here = {"results", "path", "name"}  # figures too many to read, and folders that are gone
    for name in ("comparison", "test", "silver", "labeller"):
        chosen[name] = {key: value for key, value in chosen[name].items() if key not in here}
    return chosen


SETTINGS: dict[str, dict[str, Any]] = {
    "stsb": {"batch_size": 32, "max_pairs": 8_000},
    "twitter": {"batch_size": 32, "max_pairs": 8_000},
}


if __name__ == "__main__":
    main()
