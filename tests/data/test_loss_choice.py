from typing import get_args

import pytest

from tenor.data.loss_choice import accepts, check_loss, choose_loss
from tenor.data.roles import Kind
from tenor.errors import ConfigError


def test_the_chosen_loss_takes_the_kind_and_gives_a_reason() -> None:
    kinds = set(get_args(Kind)) - {"multi_labelled_texts"}
    chosen = {kind: choose_loss(kind) for kind in kinds}
    assert {kind: loss for kind, (loss, _) in chosen.items()} == {
        "pairs": "mnr",
        "triplets": "mnr",
        "scored": "cosent",
        "nli": "mnr",
        "labelled_pairs": "online-contrastive",
        "labelled_texts": "supervised-contrastive",
    }
    for kind, (loss, reason) in chosen.items():
        check_loss(loss, kind)
        assert reason


def test_several_labels_a_text_are_for_classifiers() -> None:
    with pytest.raises(ConfigError, match="one label a text; for several, train a classifier"):
        choose_loss("multi_labelled_texts")


def test_a_loss_that_does_not_fit_names_those_that_do() -> None:
    with pytest.raises(
        ConfigError, match=r"loss = 'triplet' .* scored pairs.*: mnr, cosine, cosent"
    ):
        check_loss("triplet", "scored")
    with pytest.raises(ConfigError, match="auto or one of mnr, cosine"):
        accepts("mnrl")
