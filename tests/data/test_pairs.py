from pathlib import Path

import numpy as np
import pytest

from tenor.data.pairs import positives_from_scored, triplets_from_nli
from tenor.data.roles import NLI_LABELS
from tenor.data.schema import PairTable, read_pairs
from tenor.errors import ConfigError, DataError

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def nli(*rows: tuple[str, str, str]) -> PairTable:
    return PairTable(
        kind="nli",
        columns={"sentence1": [row[0] for row in rows], "sentence2": [row[1] for row in rows]},
        target=np.array([NLI_LABELS.index(row[2]) for row in rows]),
        label_names=NLI_LABELS,
        lines=np.arange(2, len(rows) + 2),
        path="nli.csv",
    )


def scored(*scores: float) -> PairTable:
    return PairTable(
        kind="scored",
        columns={
            "sentence1": [f"a{number}" for number in range(len(scores))],
            "sentence2": [f"b{number}" for number in range(len(scores))],
        },
        target=np.float32(scores) / np.float32(5),
        label_names=None,
        lines=np.arange(1, len(scores) + 1),
        path="scored.csv",
        score_range=(0, 5),
    )


MIXED = nli(
    ("A man cooks.", "He sleeps.", "contradiction"),
    ("a man  cooks.", "Someone is cooking.", "entailment"),
    ("A man cooks.", "It is good.", "neutral"),
    ("A man cooks.", "A person cooks.", "entailment"),
    ("A man cooks.", "someone is COOKING.", "entailment"),
    ("A dog runs.", "An animal runs.", "entailment"),
    ("A cat sits.", "It stands.", "contradiction"),
    ("It rains.", "Water falls.", "entailment"),
    ("It rains.", "Water falls.", "contradiction"),
)


def test_triplets_join_entailments_and_contradictions_of_a_premise() -> None:
    table = triplets_from_nli(MIXED)
    assert table.kind == "triplets"
    assert list(zip(*table.columns.values(), strict=True)) == [
        ("a man  cooks.", "Someone is cooking.", "He sleeps."),
        ("A man cooks.", "A person cooks.", "He sleeps."),
    ]
    assert list(table.columns) == ["anchor", "positive", "negative"]
    assert table.lines.tolist() == [3, 5]
    assert table.target is None
    assert table.notes == {
        "premises": 4,
        "premises_used": 1,
        "entailments": 3,
        "entailments_without_contradiction": 1,
        "labelled_both_ways": 1,
    }


def test_entailments_without_a_contradiction_become_pairs() -> None:
    table = triplets_from_nli(MIXED, require_negative=False)
    assert table.kind == "pairs"
    assert table.columns == {"anchor": ["A dog runs."], "positive": ["An animal runs."]}
    assert table.lines.tolist() == [7]


def test_negatives_depend_on_the_seed_alone_and_are_used_evenly() -> None:
    table = nli(
        *(("p", f"yes {number}", "entailment") for number in range(8)),
        *(("p", f"no {number}", "contradiction") for number in range(4)),
    )
    negatives = triplets_from_nli(table, seed=1).columns["negative"]
    assert sorted(negatives) == sorted(f"no {number}" for number in range(4) for _ in range(2))
    assert triplets_from_nli(table, seed=1).columns["negative"] == negatives
    others = [triplets_from_nli(table, seed=seed).columns["negative"] for seed in range(2, 8)]
    assert any(other != negatives for other in others)


def test_what_cannot_give_triplets_is_refused() -> None:
    with pytest.raises(DataError, match="NLI labels are needed, and this is scored"):
        triplets_from_nli(scored(1))
    with pytest.raises(DataError, match="no premise has both"):
        triplets_from_nli(nli(("a", "b", "entailment")))


def test_positives_are_the_pairs_at_or_above_the_threshold() -> None:
    table = positives_from_scored(scored(5, 3.9, 4, 0))
    assert table.kind == "pairs"
    assert table.columns == {"anchor": ["a0", "a2"], "positive": ["b0", "b2"]}
    assert table.lines.tolist() == [1, 3]
    assert table.notes == {"positives": 2, "below_threshold": 2}
    with pytest.raises(
        DataError, match=r"no pair reaches the threshold 0\.8; the highest has 0\.2"
    ):
        positives_from_scored(scored(1, 0.5))
    with pytest.raises(ConfigError, match="threshold = 4"):
        positives_from_scored(scored(1), threshold=4)
    with pytest.raises(DataError, match="this is nli"):
        positives_from_scored(MIXED)


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data sets in {DATA}")
def test_the_nli_pool_gives_8665_triplets() -> None:
    table = read_pairs(DATA / "nli_train_pool" / "train.parquet")
    triplets = triplets_from_nli(table)
    assert len(triplets) == 8665
    alone = triplets_from_nli(table, require_negative=False)
    assert len(triplets) + len(alone) == triplets.notes["entailments"]
