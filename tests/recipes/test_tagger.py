"""Training a tagger from files to a saved model."""

import json
import logging
from dataclasses import replace

import pytest
from transformers import pipeline

from tenor.errors import ConfigError, DataError
from tenor.formats.locate import hash_model
from tenor.models.tagger import Tagger
from tenor.recipes.tagger import TaggerConfig, train_tagger
from tiny import tiny_model
from tiny_tags import TYPES, tagged_rows, write_jsonl

ROWS = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def config(model, tmp_path):
    return TaggerConfig(
        train=write_jsonl(tmp_path / "train.jsonl", tagged_rows(ROWS)),
        out=str(tmp_path / "run"),
        model=model,
        epochs=1,
        batch_size=8,
        learning_rate=2e-3,
        dtype="fp32",
        device="cpu",
    )


def as_spans(rows):
    """The same rows as texts with spans."""
    from tenor.data.tag_rows import joined_words
    from tenor.data.tags import read_tag, tag_spans

    for row in rows:
        text, places = joined_words(row["tokens"])
        spans = tag_spans([read_tag(tag) for tag in row["ner_tags"]])
        yield {
            "text": text,
            "spans": [
                {"start": places[s.start][0], "end": places[s.end - 1][1], "label": s.type}
                for s in spans
            ],
        }


def test_from_a_file_to_a_tagger_that_works(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    validation = write_jsonl(tmp_path / "validation.jsonl", tagged_rows(20, seed=5))
    config = replace(config, validation=validation, epochs=16, learning_rate=3e-3)
    result = train_tagger(config)
    assert (result["metric"], result["rows"], result["steps"]) == ("f1", ROWS, 64)
    assert result["labels"][0] == "O" and result["lost"] == {"words": 0, "spans": 0}
    assert result["after"]["metrics"]["f1"] > 0.9 > result["before"]["metrics"]["f1"]
    assert result["difference"]["verdict"] == "better"
    assert result["after"]["notes"].keys() >= {"missed", "spurious", "wrong_boundary"}
    assert "32 texts with" in caplog.text and "evaluation texts" in caplog.text
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored == json.loads(json.dumps(result))
    folder = tmp_path / "run" / "model"
    assert stored["model"]["sha256"] == hash_model(folder)
    tagger = Tagger.load(folder, device="cpu", dtype="fp32")
    assert tagger.types == TYPES
    text = "the red cat sits near river"
    found = [(span.label, span.text) for span in tagger.predict(text)]
    assert found == [("COLOUR", "red"), ("ANIMAL", "cat"), ("PLACE", "near river")]
    theirs = pipeline("token-classification", str(folder), aggregation_strategy="first")
    assert [(one["entity_group"], text[one["start"] : one["end"]]) for one in theirs(text)] == found
    card = (folder / "README.md").read_text()
    assert (
        "| ANIMAL | F1 " in card
        and "cross-entropy of tags" in card
        and "token-classification" in card
    )


def test_the_best_weights_are_kept(config, tmp_path):
    result = train_tagger(replace(config, hold_out=0.3, epochs=12, learning_rate=5e-3))
    assert result["rows"] < ROWS and result["best_step"] is not None
    log = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    measured = {line["step"]: line["eval_f1"] for line in log if "eval_f1" in line}
    assert len(measured) == 12 and len(set(measured.values())) > 3
    assert result["after"]["metrics"]["f1"] == pytest.approx(max(measured.values()))
    assert measured[result["best_step"]] == max(measured.values())


@pytest.mark.parametrize("spans", [False, True])
def test_an_interrupted_run_goes_on_to_the_same_weights(spans, config, tmp_path, monkeypatch):
    from tenor.training.trainer import Trainer

    if spans:
        rows = list(as_spans(tagged_rows(ROWS)))
        config = replace(config, train=write_jsonl(tmp_path / "spans.jsonl", rows))
    config = replace(config, epochs=2, save_every=1, max_seq_length=10, overlap=2)
    whole = train_tagger(config)
    assert whole["split_texts"] > 0
    config = replace(config, out=str(tmp_path / "stopped"))
    step = Trainer.training_step

    def stop(self, *args, **kwargs):
        if self.state.global_step == 5:
            raise RuntimeError("killed")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", stop)
    with pytest.raises(RuntimeError, match="killed"):
        train_tagger(config)
    monkeypatch.setattr(Trainer, "training_step", step)
    resumed = train_tagger(replace(config, resume=True))
    assert resumed["model"]["sha256"] == whole["model"]["sha256"]
    assert train_tagger(replace(config, resume=True)) == resumed  # done: nothing to do


def test_words_and_spans_train_the_same_tagger(config, tmp_path):
    rows = tagged_rows(ROWS)
    one = train_tagger(config)
    spans = write_jsonl(tmp_path / "spans.jsonl", list(as_spans(rows)))
    other = train_tagger(replace(config, train=spans, out=str(tmp_path / "other")))
    lines = "\n\n".join(
        "\n".join(f"{word} {tag}" for word, tag in zip(row["tokens"], row["ner_tags"], strict=True))
        for row in rows
    )
    (tmp_path / "train.conll").write_text(lines)
    third = train_tagger(
        replace(config, train=str(tmp_path / "train.conll"), out=str(tmp_path / "third"))
    )
    assert one["model"]["sha256"] == other["model"]["sha256"] == third["model"]["sha256"]


def test_a_tagger_can_be_trained_further(config, tmp_path):
    train_tagger(config)
    start = str(tmp_path / "run" / "model")
    first = Tagger.load(start, device="cpu", dtype="fp32")
    config = replace(config, model=start, out=str(tmp_path / "second"), learning_rate=1e-9)
    train_tagger(config)
    second = Tagger.load(tmp_path / "second" / "model", device="cpu", dtype="fp32")
    texts = [" ".join(row["tokens"]) for row in tagged_rows(10, seed=8)]
    assert [[span[:3] for span in own] for own in first.predict(texts)] == [
        [span[:3] for span in own] for own in second.predict(texts)
    ]


def test_settings_change_what_is_learnt(config, tmp_path):
    plain = train_tagger(config)["model"]["sha256"]
    for number, change in enumerate(
        ({"label_pieces": "all", "train": config.train}, {"class_weights": "balanced"}, {"seed": 1})
    ):
        if "label_pieces" in change:  # a word of several tokens
            rows = [{"tokens": ["catz"], "ner_tags": ["B-ANIMAL"]}, *tagged_rows(ROWS)]
            change["train"] = write_jsonl(tmp_path / "more.jsonl", rows)
        other = train_tagger(replace(config, **change, out=str(tmp_path / f"run{number}")))
        assert other["model"]["sha256"] != plain
        if "class_weights" in change:
            assert other["loss"] == "cross-entropy of tags, balanced"


def test_what_is_lost_is_told(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    rows = write_jsonl(tmp_path / "long.jsonl", tagged_rows(12, words=(20, 30)))
    result = train_tagger(replace(config, train=rows, max_seq_length=10, split_long=False))
    assert result["truncated"] == 12 and result["lost"]["words"] > 100
    assert result["lost"]["spans"] > 10 and "spans with them" in caplog.text
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "Labels lost in training" in card
    split = train_tagger(
        replace(config, train=rows, max_seq_length=10, out=str(tmp_path / "split"))
    )
    assert split["lost"]["words"] == 0 and split["split_texts"] == 12
    assert "no tag is lost" in caplog.text


def test_types_that_training_lacks_are_told(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    rows = [{"tokens": ["sun", "cat"], "ner_tags": ["B-STAR", "B-ANIMAL"]}]
    result = train_tagger(
        replace(config, validation=write_jsonl(tmp_path / "validation.jsonl", rows))
    )
    assert "none can find: STAR (1 spans)" in caplog.text
    star = next(row for row in result["after"]["per_type"] if row["type"] == "STAR")
    assert star["f1"] == 0.0 and star["spans"] == 1


def test_misaligned_spans(config, tmp_path):
    rows = [{"text": "a catfish", "spans": [[2, 5, "ANIMAL"]]}, *as_spans(tagged_rows(8))]
    config = replace(config, train=write_jsonl(tmp_path / "spans.jsonl", rows))
    with pytest.raises(DataError, match="within a word"):
        train_tagger(config)
    skipped = train_tagger(replace(config, misaligned="skip"))  # in the same, still empty, folder
    assert (skipped["rows"], skipped["skipped"]) == (8, 1)
    grown = train_tagger(replace(config, misaligned="expand", out=str(tmp_path / "grown")))
    assert grown["rows"] == 9 and grown["expanded_spans"] == 1


def test_data_without_a_span_is_refused(config, tmp_path):
    rows = write_jsonl(tmp_path / "none.jsonl", [{"tokens": ["a"], "ner_tags": ["O"]}])
    with pytest.raises(DataError, match="not a single span"):
        train_tagger(replace(config, train=rows))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("out", ""),
        ("train", ""),
        ("hold_out", 1.0),
        ("on_bad_row", "ignore"),
        ("misaligned", "drop"),
        ("label_pieces", "last"),
        ("class_weights", "heavy"),
        ("device", "tpu"),
        ("overlap", -1),
        ("chunk_tokens", 100),
        ("batch_size", 0),
    ],
)
def test_a_wrong_setting_is_named(field, value, config):
    with pytest.raises(ConfigError, match=field):
        replace(config, **{field: value})


@pytest.mark.data
@pytest.mark.minilm
@pytest.mark.slow
def test_real_sentences_can_be_learnt(shared_data, minilm, tmp_path):
    import pyarrow.parquet as pq

    rows = pq.read_table(shared_data / "conll2003" / "train.parquet").slice(0, 64)
    pq.write_table(rows, tmp_path / "train.parquet")
    result = train_tagger(
        TaggerConfig(
            train=str(tmp_path / "train.parquet"),
            validation=str(tmp_path / "train.parquet"),
            out=str(tmp_path / "run"),
            learning_rate=5e-4,
            epochs=5,
        )
    )
    assert result["after"]["metrics"]["f1"] > 0.5
