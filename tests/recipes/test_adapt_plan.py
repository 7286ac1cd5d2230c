"""Which stages are chosen, in which order, and what is said against others."""

import pytest

from tenor.errors import ConfigError
from tenor.recipes.adapt import AdaptConfig
from tenor.recipes.adapt_plan import make_plan


def config(**settings):
    return AdaptConfig(**{"text": "t.txt", "evaluate": "e.csv", "out": "run", **settings})


@pytest.mark.parametrize(
    ("trained", "given", "stages"),
    [
        (False, {}, ("tsdae",)),
        (False, {"pairs": "p.csv"}, ("tsdae", "contrastive")),
        (False, {"gold": "g.csv"}, ("tsdae", "augmented")),
        (False, {"pairs": "p.csv", "gold": "g.csv"}, ("tsdae", "contrastive", "augmented")),
        (True, {"pairs": "p.csv"}, ("contrastive",)),
        (True, {"gold": "g.csv"}, ("augmented",)),
        (True, {"pairs": "p.csv", "gold": "g.csv"}, ("contrastive", "augmented")),
    ],
)
def test_raw_text_comes_first_and_only_for_a_plain_encoder(trained, given, stages):
    plan = make_plan(config(**given), trained=trained)
    assert plan.stages == stages
    assert not plan.warnings and not plan.ablation
    why = " ".join(plan.reasons)
    assert ("trained for similarity" in why) is trained
    assert ("plain encoder" in why) is not trained
    if len(stages) > 1 and not trained:
        assert "labels last" in why and "2104.06979" in why


def test_a_trained_embedder_without_labels_is_not_spoilt_unasked():
    with pytest.raises(ConfigError, match=r"stages.*pairs or gold.*such as stages = cloze"):
        make_plan(config(), trained=True)
    plan = make_plan(config(stages=("tsdae",)), trained=True)
    assert plan.stages == ("tsdae",)
    assert "trained for similarity" in plan.warnings[0]


@pytest.mark.parametrize("stage", ["tsdae", "mlm"])
def test_what_harms_a_trained_embedder_is_warned_of_with_the_reason(stage):
    plan = make_plan(config(stages=(stage, "contrastive"), pairs="p.csv"), trained=True)
    [warning] = plan.warnings
    assert "undoes" in warning and "2104.06979" in warning and "2112.07577" in warning
    assert not make_plan(config(stages=(stage,)), trained=False).warnings


@pytest.mark.parametrize(
    "stages", [("contrastive", "tsdae"), ("tsdae", "contrastive", "mlm"), ("contrastive", "mlm")]
)
def test_a_reversed_order_is_warned_of_with_the_reason(stages):
    plan = make_plan(config(stages=stages, pairs="p.csv"), trained=False)
    assert plan.stages == stages
    [warning] = plan.warnings
    assert "reversed" in warning and "after contrastive" in warning and "2104.06979" in warning


def test_folders_are_numbered_and_the_ablation_has_its_own():
    given = {"pairs": "p.csv", "gold": "g.csv", "ablation": True}
    plan = make_plan(config(**given), trained=False)
    assert plan.folders == ("1-tsdae", "2-contrastive", "3-augmented")
    assert plan.ablation_folders == ("supervised-only/1-contrastive", "supervised-only/2-augmented")


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ({"pairs": "p.csv"}, True),  # nothing comes before the labels
        ({"stages": ("contrastive", "tsdae"), "pairs": "p.csv"}, False),
        ({}, False),
    ],
)
def test_an_ablation_with_nothing_to_compare_is_refused(settings, trained):
    with pytest.raises(ConfigError, match="ablation"):
        make_plan(config(ablation=True, **settings), trained=trained)


def test_pairs_made_of_the_texts_stand_between_rebuilding_and_labels():
    stages = ("mlm", "cloze", "contrastive")
    assert not make_plan(config(stages=stages, pairs="p.csv"), trained=False).warnings
    assert not make_plan(config(stages=("cloze",)), trained=True).warnings
    [warning] = make_plan(config(stages=("cloze", "tsdae")), trained=False).warnings
    assert "TSDAE after the inverse cloze task" in warning
    [warning] = make_plan(config(stages=("simcse",)), trained=True).warnings
    assert "only dropout" in warning
