"""The model card says what was measured, in a form that the hub reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tenor.formats.layout import DenseSpec, EmbedderLayout
from tenor.formats.model_card import model_card

LAYOUT = EmbedderLayout(
    transformer=Path("nowhere"),
    max_seq_length=128,
    pooling=("cls", "mean"),
    dense=(DenseSpec(in_features=768, out_features=64, activation="gelu"),),
    normalize=True,
    prompts={"query": "search: ", "document": ""},
    default_prompt="query",
    similarity="dot",
)


def result(value, **changes):
    return {
        "metrics": {"ndcg@10": value, "mrr@10": None},
        "intervals": {"ndcg@10": [value - 0.02, value + 0.02], "mrr@10": [None, None]},
        "n": 1234,
        "truncated": 7,
        "seconds": 1.0,
        "model": {"name": "start"},
        "data": {"path": "/home/someone/secret/beir", "sha256": "abc123"},
        "notes": {},
    } | changes


TRAINING = {
    "loss": "mnr",
    "rows": 6400,
    "steps": 100,
    "data": {"path": "/home/someone/secret/pairs.csv", "sha256": "fedcba"},
    "arguments": {"training": {"learning_rate": 2e-5}, "train": "/home/someone/secret/pairs.csv"},
    "before": result(0.5),
    "metric": "ndcg@10",
    "difference": {"value": 0.1, "low": 0.08, "high": 0.12, "verdict": "better"},
    "versions": {"tenor": "9.9.9"},
}


def card(**changes):
    given = {
        "name": "mine",
        "base_model": "all-MiniLM-L6-v2",
        "layout": LAYOUT,
        "dimensions": 64,
        "training": TRAINING,
        "evaluation": [result(0.6)],
    }
    return model_card(**(given | changes))


def test_the_hub_reads_the_front_matter():
    data = ModelCard(card(language="en")).data
    assert data.library_name == "sentence-transformers"
    assert data.pipeline_tag == "sentence-similarity"
    assert data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert data.language == "en"
    assert "tenor" in data.tags
    assert data.model_name == "mine"
    (measured,) = data.eval_results  # not the base model's, and not what is undefined
    assert (measured.metric_type, measured.metric_value) == ("ndcg@10", 0.6)
    assert (measured.task_type, measured.dataset_name) == ("information-retrieval", "beir")


def test_the_results_stand_beside_the_base_model_with_intervals():
    text = card()
    assert "| `ndcg@10` | 0.5000 [0.4800, 0.5200] | 0.6000 [0.5800, 0.6200] |" in text
    assert "| `mrr@10` | not defined | not defined |" in text
    assert "1,234 items" in text
    assert "+0.1000 [+0.0800, +0.1200] (better)" in text


def test_a_base_model_measured_on_other_data_is_not_put_beside():
    other = TRAINING | {"before": result(0.5, data={"path": "other", "sha256": "999"})}
    text = card(training=other)
    assert "| `ndcg@10` | 0.6000 [0.5800, 0.6200] |" in text
    assert "0.5000" not in text


def test_training_and_architecture_are_told():
    text = card()
    for fact in (
        "| Training data | pairs.csv |",
        "| SHA-256 of the data | fedcba |",
        "| Rows of training data | 6,400 |",
        "| training.learning_rate | 2e-05 |",
        "| Dense layers | 768 → 64, gelu |",
        "| Pooling | first token (CLS), mean of the tokens |",
        "| Similarity | dot product |",
        "| tenor | 9.9.9 |",
        "Without one, `query` is used.",
    ):
        assert fact in text
    assert "/home/someone" not in text


def test_nothing_is_claimed_that_was_not_measured():
    text = card(training=None, evaluation=[])
    assert "has not been evaluated" in text
    assert "Nothing is recorded about its training" in text
    assert ModelCard(text).data.eval_results is None


def test_a_local_base_model_is_not_given_as_a_hub_id(tmp_path):
    text = card(base_model=str(tmp_path / "start"))
    assert ModelCard(text).data.base_model is None
    assert str(tmp_path) not in text
    assert "starting from start" in text


@pytest.mark.parametrize(
    "name",
    [
        'a "quoted": name # no comment',
        "- [list, {of: things}]",
        "two\n---\nlines: [",
        "naïve ☃ 😀 \u2028 name",
        "null",
        "a|b `c` <script>",
        "\\n' + exit() + '",
    ],
)
def test_any_name_makes_a_valid_card(name):
    text = card(name=name, evaluation=[result(0.6, data={"name": name})])
    data = ModelCard(text).data
    shown = " ".join(name.split())
    assert data.model_name == shown
    assert data.eval_results[0].dataset_name == shown
    assert "<script>" not in re.sub(r"```.*?```", "", text.split("\n---\n", 1)[1], flags=re.S)
    for code in re.findall(r"```python\n(.*?)```", text, flags=re.S):
        compile(code, "card", "exec")
    for row in re.findall(r"^\|.*\|$", text, flags=re.M):
        assert len(re.findall(r"(?<!\\)\|", row)) in (3, 4)
