"""Steps that are timed, and what is told from them."""

import pytest
import torch

from tenor.recipes import plan_probe
from tenor.recipes.plan_probe import TRIED_TOKENS, time_steps
from tenor.tokens.plan import TrainingPlan
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingData
from tenor.training.objectives import make_objective
from tiny import WIDTH, TinyEmbedder, random_texts, tiny_data, tiny_tokenizer


def timed(data, arguments, **options):
    objective = make_objective("mnr", dimensions=WIDTH)
    return time_steps(TinyEmbedder(), objective, data, arguments, seconds=0.2, **options)


def test_a_few_steps_and_no_more():
    pace = timed(tiny_data(rows=64), TrainingArguments(batch_size=8, epochs=3), rows=1_000)
    assert 2 <= pace.steps <= 16
    assert 0 < pace.seconds < 1 and pace.bytes > 1e7 and pace.rows == 1_000


def test_time_for_fewer_rows_than_a_batch():
    assert timed(tiny_data(rows=5), TrainingArguments(batch_size=64)).steps >= 2


def test_large_batches_are_told_from_parts_of_them(monkeypatch):
    """Time and memory of what was never tried grow with the tokens, from a part that stays."""
    rows = 512
    columns = {
        n: random_texts(rows, seed=s, words=(10, 12)) for s, n in enumerate(("anchor", "positive"))
    }
    data = TrainingData.of(columns, None, tiny_tokenizer())
    seen = []

    def tried(model, objective, step, data, plan, arguments, seconds):
        tokens = plan_probe._tokens(data, plan)
        seen.append(tokens)
        return plan_probe._Trial(tokens, 0.05 + tokens / 10_000, 10**6 + int(tokens * 1_000), 3)

    monkeypatch.setattr(plan_probe, "_try", tried)
    plan = TrainingPlan(rows, 512, 0)
    whole = plan_probe._tokens(data, plan)
    assert whole > TRIED_TOKENS
    pace = time_steps(
        TinyEmbedder(),
        make_objective("mnr", dimensions=WIDTH),
        data,
        TrainingArguments(batch_size=512),
    )
    assert len(seen) == 2 and max(seen) <= TRIED_TOKENS
    assert pace.seconds == pytest.approx(0.05 + whole / 10_000, rel=1e-6)
    assert pace.bytes == pytest.approx(10**6 + whole * 1_000, rel=1e-5)


def test_noise_cannot_make_more_tokens_cheaper():
    told = plan_probe._extrapolated
    assert told(1_000, 3.0, 2_000, 2.0, 20_000) == pytest.approx(0.6 + 14.0)
    assert told(1_000, 0.5, 2_000, 2.0, 20_000) == pytest.approx(20.0)


def test_the_model_is_given_back_for_the_next_use():
    model = TinyEmbedder()
    time_steps(
        model, make_objective("mnr", dimensions=WIDTH), tiny_data(rows=16),
        TrainingArguments(batch_size=8), seconds=0.1,
    )  # fmt: skip
    assert all(torch.isfinite(each).all() for each in model.parameters())
