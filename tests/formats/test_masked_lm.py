"""The card of a masked language model says what was measured, and gives no folder away."""

import yaml

from tenor.formats.masked_lm import masked_lm_card

RESULT = {
    "rows": 1234,
    "distinct_blocks": 2345,
    "steps": 70,
    "train_loss": 2.5,
    "arguments": {"train": "/home/someone/texts.txt", "epochs": 1},
    "before": {
        "metrics": {"perplexity": 40.0}, "intervals": {"perplexity": (39.0, 41.0)}, "n": 50
    },
    "after": {
        "metrics": {"perplexity": 20.0}, "intervals": {"perplexity": (19.0, 21.0)}, "n": 50
    },
}  # fmt: skip


def test_tells_the_figures_before_and_after():
    card = masked_lm_card("med", "bert|base", RESULT)
    front = yaml.safe_load(card.split("---")[1])
    assert front["pipeline_tag"] == "fill-mask"
    assert "| `perplexity` | 40.0000 [39.0000, 41.0000] | 20.0000 [19.0000, 21.0000] |" in card
    assert "trained from bert\\|base" in card
    assert "1,234" in card
    assert "/home/someone" not in card


def test_without_a_run_it_claims_nothing():
    card = masked_lm_card("med", "bert", None)
    assert "trained" not in card.split("## Usage")[0]
    assert "Results" not in card
