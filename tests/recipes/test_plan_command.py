"""Settings become flags that give the same settings back."""

import pytest
from cyclopts import App

from tenor.cli import commands
from tenor.recipes.adapt import AdaptConfig
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.classifier import ClassifierConfig
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.plan_command import Command
from tenor.recipes.sweep import FreezeSweepConfig
from tenor.recipes.tagger import TaggerConfig
from tenor.recipes.tsdae import TsdaeConfig
from tenor.training.command import flags_of

CONFIGS = {
    ("train", "contrastive"): ContrastiveConfig(
        train="my data.csv", out="o", columns={"anchor": "a b", "positive": "c"}, hold_out=0.1,
        learning_rate=3e-5, symmetric=True, on_bad_row="skip",
    ),
    ("train", "classifier"): ClassifierConfig(
        train="t.csv", out="o", head="logistic", max_seq_length=64, model="some/model"
    ),
    ("train", "few-shot"): FewShotConfig(train="t.csv", out="o", shots=8, labels_as_text=True),
    ("train", "tagger"): TaggerConfig(train="t", out="o", split_long=False, epochs=5),
    ("train", "tsdae"): TsdaeConfig(train="t", out="o", tie=False, column="body"),
    ("train", "augmented"): AugmentedConfig(gold="g", pool="p", out="o", pool_columns=("body",)),
    ("adapt",): AdaptConfig(text="t", evaluate="e", out="o", stages=("tsdae", "contrastive"),
                            pairs="p"),
    ("sweep", "freeze"): FreezeSweepConfig(train="t", test="e", out="o", depths="0,3"),
}  # fmt: skip


@pytest.mark.parametrize("words", CONFIGS)
def test_flags_give_the_settings_back(words):
    app = App()
    commands.add_to(app)
    config = CONFIGS[words]
    _, bound, *_ = app.parse_args(Command(words, config=config).arguments, exit_on_error=False)
    assert bound.arguments["settings"] == config


def test_what_is_as_usual_is_left_out():
    assert flags_of(ClassifierConfig(train="t", out="o")) == ["--train", "t", "--out", "o"]
    assert flags_of(ClassifierConfig(train="t", out="o"), ["out"]) == ["--train", "t"]
