"""Mining hard negatives from files and lists, against brute force on the same vectors."""

import logging
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.negative_rules import NegativeRules
from tenor.data.schema import read_pairs
from tenor.errors import ConfigError, DataError, MissingExtraError, ModelError
from tenor.models.embedder import Embedder
from tenor.recipes import miner
from tenor.recipes.hard_negatives import hard_negatives
from tenor.recipes.mine import MineConfig, mine_negatives
from tiny import random_texts, tiny_model, write_csv

ROWS = 24
ANCHORS = random_texts(ROWS, seed=1, words=(4, 9))
POSITIVES = [anchor.rsplit(" ", 1)[0] for anchor in ANCHORS]
CORPUS = random_texts(60, seed=3, words=(4, 9))
MARGIN = 0.025  # the tiny model finds all texts alike
LOOSE = NegativeRules(negatives=3, relative_margin=None)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture(scope="module")
def model(path):
    return Embedder.load(path, device="cpu", dtype="fp32")


@pytest.fixture
def config(path, tmp_path):
    train = write_csv(tmp_path / "pairs.csv", {"anchor": ANCHORS, "positive": POSITIVES})
    corpus = write_csv(tmp_path / "corpus.csv", {"text": CORPUS})
    return {
        "model": path, "train": train, "corpus": corpus, "out": str(tmp_path / "mined.parquet"),
        "negatives": 3, "relative_margin": MARGIN, "device": "cpu", "dtype": "fp32",
    }  # fmt: skip


class Scorer:
    """A cross-encoder that scores by what a function says."""

    labels = ("score",)

    def __init__(self, score):
        self.function, self.asked = score, []

    def score(self, pairs, *, progress=None):
        self.asked += pairs
        return np.array([self.function(*pair) for pair in pairs], dtype=np.float32)


def ranking(model, anchor, corpus):
    scores = model.encode(corpus) @ model.encode(anchor)
    order = np.argsort(-scores, kind="stable")
    return [corpus[row] for row in order], scores[order]


def columns(path):
    return pq.read_table(path).to_pydict()


def test_the_nearest_texts_below_the_positive_are_the_negatives(model):
    rules = NegativeRules(negatives=4, relative_margin=MARGIN)
    found = hard_negatives(model, ANCHORS, POSITIVES, CORPUS, rules=rules)
    assert found.report["dropped"]["relative_margin"] > ROWS
    for row, anchor in enumerate(ANCHORS):
        positive = float(model.encode(anchor) @ model.encode(POSITIVES[row]))
        assert found.positive_scores[row] == pytest.approx(positive, abs=1e-5)
        ranked, scores = ranking(model, anchor, CORPUS)
        ceiling = (1 - MARGIN) * positive
        allowed = [text for text, score in zip(ranked, scores, strict=True) if score < ceiling]
        assert found.negatives[row] == allowed[:4]
        assert max(found.scores[row]) < ceiling + 1e-6


@pytest.mark.parametrize("block", [1, 5, 2_048])
def test_the_blocks_do_not_matter(model, monkeypatch, block):
    rules = NegativeRules(negatives=4, sampling="random", relative_margin=MARGIN, seed=7)
    expected = hard_negatives(model, ANCHORS, POSITIVES, CORPUS, rules=rules, depth=20)
    monkeypatch.setattr(miner, "ANCHORS", block)
    monkeypatch.setattr(miner, "GATHERED", 1 << 10)
    found = hard_negatives(model, ANCHORS, POSITIVES, iter(CORPUS), rules=rules, depth=20)
    assert found.negatives == expected.negatives
    assert found.report["dropped"] == expected.report["dropped"]


def test_what_is_known_to_belong_together_is_never_a_negative(model):
    # One anchor with three positives; its own text, shouted, and one whose positive it is.
    anchors = ["the cat sits", "the cat sits", "The  CAT sits", "old tree", "red bird"]
    positives = ["a cat sits", "the cat sleeps", "one cat", "the cat sits", "blue bird"]
    corpus = ["THE CAT SITS", "the cat  sleeps", "One cat", "Old Tree", "a cat sits", "far road",
              "one house", "two birds", "the red bird"]  # fmt: skip
    found = hard_negatives(model, anchors, positives, corpus, rules=LOOSE, depth=4)
    for row in range(3):
        assert set(found.negatives[row]) <= {"far road", "one house", "two birds", "the red bird"}
        assert len(found.negatives[row]) == 3
    assert found.report["anchors"] == 3
    assert not {"THE CAT SITS", "Old Tree"} & set(found.negatives[3])


def test_of_several_positives_the_lowest_sets_the_margin(model):
    anchor = "the cat sits on the tree"
    ranked, _ = ranking(model, anchor, CORPUS)
    positives = [ranked[2], ranked[30]]
    rules = NegativeRules(negatives=2, relative_margin=0.0)
    found = hard_negatives(model, [anchor] * 2, positives, CORPUS, rules=rules)
    assert found.negatives == [ranked[31:33]] * 2
    assert found.report["dropped"]["relative_margin"] == 29


def test_by_default_the_corpus_is_the_other_rows_positives(model):
    found = hard_negatives(model, ANCHORS, [*POSITIVES[:-1], POSITIVES[0]], rules=LOOSE)
    assert {text for row in found.negatives for text in row} <= set(POSITIVES[:-1])
    assert found.report["corpus"] == ROWS - 1
    assert found.report["corpus_repeats"] == 1


def test_a_cross_encoder_drops_what_it_takes_for_a_positive(model):
    wrong = {text for text in CORPUS if "the" in text}
    scorer = Scorer(lambda _, text: 0.95 if text in wrong else 1.0 if text in POSITIVES else 0.3)
    plain = hard_negatives(model, ANCHORS, POSITIVES, CORPUS, rules=LOOSE)
    assert wrong & {text for row in plain.negatives for text in row}
    found = hard_negatives(model, ANCHORS, POSITIVES, CORPUS, rules=LOOSE, cross_encoder=scorer)
    for anchor, negatives in zip(ANCHORS, found.negatives, strict=True):
        ranked, _ = ranking(model, anchor, CORPUS)
        assert negatives == [text for text in ranked if text not in wrong][:3]
    # No more candidates are scored than those taken or refused.
    asked = len(scorer.asked) - ROWS
    assert asked == 3 * ROWS + found.report["dropped"]["cross_encoder"]
    lax = hard_negatives(
        model, ANCHORS, POSITIVES, CORPUS, rules=LOOSE, cross_encoder=scorer, cross_margin=0.0
    )
    assert lax.negatives == plain.negatives


def test_a_cross_encoder_with_labels_cannot_say_which_is_better(model):
    scorer = Scorer(lambda *_: 0.0)
    scorer.labels = ("no", "yes")
    with pytest.raises(ModelError, match="2 labels"):
        hard_negatives(model, ANCHORS, POSITIVES, CORPUS, cross_encoder=scorer)


def test_what_is_missing_is_said_before_anything_is_encoded(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    monkeypatch.setattr(model, "encode_blocks", None)
    with pytest.raises(MissingExtraError, match="bm25"):
        hard_negatives(model, ANCHORS, POSITIVES, CORPUS, using="both")


def test_random_ones_are_never_among_the_skipped(model):
    rules = NegativeRules(negatives=10, skip=50, relative_margin=None)
    found = hard_negatives(model, ANCHORS, POSITIVES, CORPUS, rules=rules, depth=61)
    assert all(len(negatives) == 10 for negatives in found.negatives)
    found = hard_negatives(model, ANCHORS, POSITIVES, CORPUS[:55], rules=rules, depth=60)
    assert [len(negatives) for negatives in found.negatives] == [5] * ROWS


def test_bm25_proposes_and_the_model_judges(model):
    pytest.importorskip("bm25s")
    anchors, positives = ["purple elephants dance"], ["the cat"]
    corpus = [*CORPUS, "elephants", "purple", "no common word at all"]
    rules = NegativeRules(negatives=2, relative_margin=None, too_few="drop")
    found = hard_negatives(model, anchors, positives, corpus, rules=rules, using="bm25")
    assert set(found.negatives[0]) == {"elephants", "purple"}
    expected = model.encode(found.negatives[0]) @ model.encode(anchors[0])
    np.testing.assert_allclose(found.scores[0], expected, atol=1e-5)
    both = hard_negatives(model, anchors, positives, corpus, rules=rules, using="both")
    nearest, _ = ranking(model, anchors[0], corpus)
    assert both.negatives[0][0] == nearest[0]
    assert both.negatives[0][1] in ("elephants", "purple")


def test_a_file_with_a_list_of_negatives_reads_back(config):
    report = mine_negatives(MineConfig(**config, scores=True))
    table = read_pairs(config["out"])
    assert list(table.columns) == ["anchor", "positive", "negative", "negative_2", "negative_3"]
    assert (table.columns["anchor"], table.columns["positive"]) == (ANCHORS, POSITIVES)
    stored = columns(config["out"])
    assert np.mean(stored["positive_score"]) == pytest.approx(report["mean_positive_score"])
    assert list(stored)[-3:] == ["negative_score", "negative_2_score", "negative_3_score"]
    assert report["rows_written"] == report["rows"] == ROWS
    assert report["negatives"] == 3 * ROWS
    assert report["corpus"] == len(set(CORPUS))
    assert len(report["data"]["sha256"]) == len(report["model"]["sha256"]) == 64


def test_triplets_are_a_row_each(config, tmp_path):
    out = str(tmp_path / "mined.jsonl")
    mine_negatives(MineConfig(**config))
    report = mine_negatives(MineConfig(**config | {"out": out}, format="triplet"))
    lists, triplets = columns(config["out"]), read_pairs(out).columns
    assert list(triplets) == ["anchor", "positive", "negative"]
    assert report["rows_written"] == 3 * ROWS
    assert triplets["anchor"][::3] == ANCHORS
    assert triplets["negative"][1::3] == lists["negative_2"]


def test_rows_with_too_few_are_filled_at_random_or_dropped(config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    narrow = config | {"depth": 3}
    filled = mine_negatives(MineConfig(**narrow))
    table = columns(config["out"])
    assert filled["rows_written"] == ROWS
    assert 0 < filled["random"] < 3 * ROWS
    assert 0 < filled["rows_short"] < ROWS
    assert f"{filled['random']} random ones" in caplog.text
    dropped = mine_negatives(MineConfig(**narrow, too_few="drop", scores=True))
    assert dropped["rows_dropped"] == filled["rows_short"]
    assert dropped["rows_written"] == ROWS - filled["rows_short"]
    assert dropped["random"] == 0
    kept = columns(config["out"])
    place = {anchor: row for row, anchor in enumerate(table["anchor"])}
    for name in ("positive", "negative", "negative_2", "negative_3"):
        assert kept[name] == [table[name][place[anchor]] for anchor in kept["anchor"]]
    assert max(kept["negative_score"]) < max(kept["positive_score"])
    mine_negatives(MineConfig(**narrow, scores=True))
    every = columns(config["out"])
    for name in ("negative_score", "negative_2_score", "negative_3_score"):  # the random ones too
        assert (np.array(every[name]) < (1.001 - MARGIN) * np.array(every["positive_score"])).all()


def test_the_same_settings_give_the_same_file(config, tmp_path):
    made = []
    for name, seed in (("one.parquet", 5), ("two.parquet", 5), ("three.parquet", 6)):
        out = tmp_path / name
        mine_negatives(MineConfig(**config | {"out": str(out)}, sampling="random", seed=seed))
        made.append(out.read_bytes())
    assert made[0] == made[1] != made[2]


def test_pairs_come_from_whatever_kind_of_rows(config, tmp_path):
    half = [index % 2 for index in range(ROWS)]
    for table, rows in (
        ({"sentence1": ANCHORS, "sentence2": POSITIVES, "label": half}, ROWS // 2),
        ({"sentence1": ANCHORS, "sentence2": POSITIVES, "score": half}, ROWS // 2),
        ({"premise": ANCHORS, "hypothesis": POSITIVES,
          "label": [("entailment", "neutral")[i] for i in half]}, ROWS // 2),
        ({"anchor": ANCHORS, "positive": POSITIVES, "negative": CORPUS[:ROWS]}, ROWS),
    ):  # fmt: skip
        train = write_csv(tmp_path / "other.csv", table)
        assert mine_negatives(MineConfig(**config | {"train": train}))["rows"] == rows
    train = write_csv(tmp_path / "other.csv", {"text": ANCHORS, "label": half})
    with pytest.raises(DataError, match="anchor and positive"):
        mine_negatives(MineConfig(**config | {"train": train}))


def test_nothing_is_left_behind_and_the_old_file_stays_when_it_fails(config, tmp_path):
    out = tmp_path / "mined.parquet"
    out.write_text("of an earlier run")
    before = sorted(entry.name for entry in tmp_path.iterdir())
    bad = tmp_path / "bad.jsonl"
    for changed, said in (
        ({"corpus_column": "body"}, "'body'"),
        ({"max_score": -1.0}, "nothing was written"),
        ({"corpus": str(bad)}, "bad.jsonl:3"),
    ):
        bad.write_text('{"text": "the cat"}\n{"text": "a dog"}\n{"text": 3}\n')
        with pytest.raises(DataError, match=said):
            mine_negatives(MineConfig(**config | changed))
        bad.unlink()
        assert out.read_text() == "of an earlier run"
        assert sorted(entry.name for entry in tmp_path.iterdir()) == before


def test_empty_and_repeated_texts_of_the_corpus_are_counted(config, tmp_path):
    corpus = tmp_path / "texts.txt"
    corpus.write_text("\n".join([*CORPUS[:20], "", "  ", CORPUS[0].upper()]))
    report = mine_negatives(MineConfig(**config | {"corpus": str(corpus)}))
    assert (report["corpus"], report["corpus_empty"], report["corpus_repeats"]) == (20, 2, 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"out": "x.xlsx"}, "out"), ({"using": "sparse"}, "using"), ({"format": "rows"}, "format"),
        ({"depth": 2}, "depth"), ({"cross_margin": -1.0}, "cross_margin"), ({"train": ""}, "train"),
        ({"on_bad_row": "no"}, "on_bad_row"), ({"device": "tpu"}, "device"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(config, changed, said):
    with pytest.raises(ConfigError, match=f"{said} = "):
        MineConfig(**config | changed)


def test_lists_that_are_no_pairs(model):
    with pytest.raises(DataError, match="24 anchors and 1 positives"):
        hard_negatives(model, ANCHORS, POSITIVES[:1])
    with pytest.raises(DataError, match="row 2"):
        hard_negatives(model, ["the cat", " "], ["a dog", "a bird"])
    with pytest.raises(DataError, match="1 text"):
        hard_negatives(model, ["the cat"], ["a dog"])


@pytest.mark.data
@pytest.mark.minilm
def test_real_questions_get_near_misses(shared_data, minilm, tmp_path):
    """The hardest negatives of medical questions are mostly about the same topic."""
    table = pq.read_table(shared_data / "medquad" / "train.parquet").slice(0, 150)
    pq.write_table(table.select(["question", "answer"]), tmp_path / "pairs.parquet")
    out = tmp_path / "mined.parquet"
    report = mine_negatives(
        MineConfig(
            model="all-MiniLM-L6-v2",
            train=str(tmp_path / "pairs.parquet"),
            out=str(out),
            negatives=2,
            max_seq_length=48,
            scores=True,
            device="cpu",
        )
    )
    assert report["rows_written"] == 150
    assert 0.3 < report["mean_negative_score"] < report["mean_positive_score"] - 0.05
    found = columns(out)
    assert not set(zip(found["anchor"], found["negative"], strict=True)) & set(
        zip(table["question"].to_pylist(), table["answer"].to_pylist(), strict=True)
    )
    assert pa.types.is_float32(pq.read_schema(out).field("negative_score").type)
