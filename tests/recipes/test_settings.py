"""What settings have in common is checked in all of them, in the same words."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from tenor.errors import ConfigError
from tenor.recipes.classifier import ClassifierConfig
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.cross_encoder import CrossEncoderConfig
from tenor.recipes.distill import DistillConfig
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.mine import MineConfig
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.settings import (
    check_above_zero,
    check_choices,
    check_least,
    check_rates,
    check_run_settings,
    check_shares,
    device_of,
)
from tenor.recipes.tagger import TaggerConfig
from tenor.recipes.tsdae import TsdaeConfig
from tenor.recipes.word2vec import Word2VecConfig

CONFIGS = [
    ClassifierConfig, ContrastiveConfig, CrossEncoderConfig, DistillConfig, FewShotConfig,
    MineConfig, MlmConfig, TaggerConfig, TsdaeConfig, Word2VecConfig,
]  # fmt: skip
WRONG = {
    "out": ("", "a folder for the run"),
    "hold_out": (1.0, "a share from 0 up to 1"),
    "on_bad_row": ("drop", "error or skip"),
    "device": ("gpu", "auto, cpu, cuda or mps"),
    "seed": (-1, "from 0 up to 2^32 - 1"),
}


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, name) for kind in CONFIGS for name in WRONG if name in kind.__dataclass_fields__],
)
def test_every_recipe_refuses_what_cannot_be(kind, field):
    known = kind.__dataclass_fields__
    settings = {"out": "mined.csv" if kind is MineConfig else "run"}
    settings |= {"train": "train.csv"} if "train" in known else {}
    assert kind(**settings)
    value, allowed = WRONG[field]
    if (kind, field) == (MineConfig, "out"):
        allowed = "a .parquet"
    with pytest.raises(ConfigError, match=rf"^{field} = {value!r} is not possible: it must be "):
        kind(**{**settings, field: value})
    if kind is not FewShotConfig:  # which says what else there is
        with pytest.raises(ConfigError) as found:
            kind(**{**settings, field: value})
        assert found.value.allowed.startswith(allowed)


@pytest.mark.parametrize("kind", [each for each in CONFIGS if "hold_out" in vars(each)])
def test_validation_is_held_out_or_given(kind):
    with pytest.raises(ConfigError, match="left out when there is a validation file"):
        kind(train="train.csv", out="run", hold_out=0.1, validation="validation.csv")


@dataclass(frozen=True)
class Some:
    train: str | None = None
    word: str = "one"
    count: float = 1
    rate: float | None = None
    share: float = 0.0
    device: str = "auto"


def test_what_a_config_lacks_or_may_leave_out_is_passed_over():
    check_run_settings(Some())
    check_choices(Some(), word=("one", "two"))
    check_least(Some(), 1, "count", "rate")
    check_rates(Some(), "rate")
    check_shares(Some(), "share")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: check_choices(Some(word="ten"), word=("one", "two")),
            "word = 'ten'.*of one, two",
        ),
        (lambda: check_least(Some(count=0.5), 1, "count"), "count = 0.5 .* at least 1"),
        (lambda: check_least(Some(count=-1), 0, "count"), "count = -1 .* 0 or more"),
        (lambda: check_above_zero(Some(count=0), "count"), "count = 0 .* above 0"),
        (lambda: check_rates(Some(rate=1.0), "rate"), "rate = 1.0 .* between 0 and 1"),
        (lambda: check_shares(Some(share=1.0), "share"), "share = 1.0 .* a share from 0 up to 1"),
    ],
)
def test_a_wrong_number_or_word_is_named(check, message):
    with pytest.raises(ConfigError, match=message):
        check()


def test_auto_is_left_to_the_model():
    assert device_of(Some()) is None
    assert device_of(Some(device="cpu")) == "cpu"


def test_settings_load_nothing_heavy():
    code = (
        "import sys, tenor.recipes.settings; "
        "sys.exit(', '.join({'torch', 'numpy', 'pyarrow'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
