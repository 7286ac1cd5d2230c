import pytest
import torch

from tenor.losses import ranking
from tenor.losses.ranking import exclusions, multiple_negatives_ranking


def embeddings(rows, dimension=8, *, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dimension, generator=generator, dtype=torch.float64).to(dtype)


def loop_exclusions(anchors, candidates, positives):
    """The definition, word by word: compare texts, row by row."""
    mask = torch.zeros(len(anchors), len(candidates), dtype=torch.bool)
    for i, anchor in enumerate(anchors):
        bad = {anchor} | {
            candidates[positives[j]] for j, other in enumerate(anchors) if other == anchor
        }
        for c, text in enumerate(candidates):
            mask[i, c] = text in bad and c != positives[i]
    return mask


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_gradients_match_finite_differences(similarity, symmetric):
    anchors = embeddings(4, 3, seed=1, dtype=torch.float64).requires_grad_()
    candidates = embeddings(5, 3, seed=2, dtype=torch.float64).requires_grad_()
    positives = torch.tensor([0, 1, 1, 3])
    excluded = torch.zeros(4, 5, dtype=torch.bool)
    excluded[0, 1] = excluded[2, 4] = True
    assert torch.autograd.gradcheck(
        lambda a, c: multiple_negatives_ranking(
            a,
            c,
            positives,
            excluded_BC=excluded,
            scale=3.0,
            similarity=similarity,
            symmetric=symmetric,
        ),
        (anchors, candidates),
    )


def test_an_excluded_candidate_is_as_good_as_absent():
    anchors, candidates = embeddings(1, seed=1), embeddings(4, seed=2)
    excluded = torch.tensor([[False, False, True, False]])
    masked = multiple_negatives_ranking(
        anchors, candidates, torch.tensor([0]), excluded_BC=excluded
    )
    absent = multiple_negatives_ranking(anchors, candidates[[0, 1, 3]], torch.tensor([0]))
    torch.testing.assert_close(masked, absent)


def test_an_excluded_candidate_gets_no_gradient_even_with_a_huge_score():
    anchors = embeddings(2, seed=1)
    candidates = torch.stack([anchors[0], anchors[1], 1e6 * anchors[0]]).requires_grad_()
    excluded = torch.tensor([[False, False, True], [False, False, True]])
    loss = multiple_negatives_ranking(
        anchors, candidates, torch.tensor([0, 1]), excluded_BC=excluded, similarity="dot"
    )
    loss.backward()
    assert loss.isfinite()
    assert candidates.grad[2].eq(0).all()


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_positive_stays_whatever_the_mask_says(symmetric):
    anchors, candidates = embeddings(3, seed=1), embeddings(5, seed=2)
    positives = torch.tensor([4, 0, 2])
    excluded = torch.zeros(3, 5, dtype=torch.bool)
    with_positive = excluded.clone()
    with_positive[torch.arange(3), positives] = True
    losses = [
        multiple_negatives_ranking(
            anchors, candidates, positives, excluded_BC=mask, symmetric=symmetric
        )
        for mask in (excluded, with_positive, None)
    ]
    assert losses[0] == losses[1] == losses[2]
    assert with_positive.any()  # the caller's mask is not written to


def test_rows_with_the_same_positive_are_no_negatives_of_each_other():
    anchors, candidates = embeddings(2, seed=1), embeddings(2, seed=2)
    together = multiple_negatives_ranking(anchors, candidates, torch.tensor([0, 0]))
    alone = [
        multiple_negatives_ranking(anchors[[i]], candidates, torch.tensor([0])) for i in (0, 1)
    ]
    torch.testing.assert_close(together, (alone[0] + alone[1]) / 2)


def test_a_second_copy_of_the_positive_changes_nothing():
    anchors, texts = embeddings(2, seed=1), embeddings(2, seed=2)
    once = multiple_negatives_ranking(anchors, texts, torch.tensor([0, 0]), symmetric=True)
    positives = torch.tensor([0, 1])
    excluded = exclusions(torch.tensor([7, 8]), torch.tensor([5, 5, 6]), positives)
    twice = multiple_negatives_ranking(
        anchors, texts[[0, 0, 1]], positives, excluded_BC=excluded, symmetric=True
    )
    torch.testing.assert_close(twice, once)


def test_two_positives_of_one_anchor_are_no_negatives_of_each_other():
    anchor, candidates = embeddings(1, seed=1), embeddings(3, seed=2)
    positives = torch.tensor([0, 1])
    excluded = exclusions(torch.tensor([7, 7]), torch.tensor([1, 2, 3]), positives)
    loss = multiple_negatives_ranking(
        anchor.expand(2, -1), candidates, positives, excluded_BC=excluded
    )
    alone = [
        multiple_negatives_ranking(anchor, candidates[[i, 2]], torch.tensor([0])) for i in (0, 1)
    ]
    torch.testing.assert_close(loss, (alone[0] + alone[1]) / 2)


def test_symmetric_ranks_only_the_anchors_that_do_not_own_the_positive():
    anchors, candidates = embeddings(4, seed=1), embeddings(4, seed=2)
    # Rows 0 and 1 share a positive; anchor 2 has row 3's positive excluded.
    positives = torch.tensor([0, 0, 1, 2])
    excluded = torch.zeros(4, 4, dtype=torch.bool)
    excluded[2, 2] = True
    scores = 20 * torch.nn.functional.cosine_similarity(
        anchors[:, None], candidates[None, :], dim=2
    )
    rivals = {0: [0, 2, 3], 1: [1, 2, 3], 2: [0, 1, 2, 3], 3: [0, 1, 3]}
    backward = sum(
        scores[rows, positives[i]].logsumexp(0) - scores[i, positives[i]]
        for i, rows in rivals.items()
    )
    forward = multiple_negatives_ranking(anchors, candidates, positives, excluded_BC=excluded)
    both = multiple_negatives_ranking(
        anchors, candidates, positives, excluded_BC=excluded, symmetric=True
    )
    torch.testing.assert_close(both, (forward + backward / 4) / 2)


def test_one_row_without_negatives_costs_nothing():
    loss = multiple_negatives_ranking(embeddings(1, seed=1), embeddings(1), torch.tensor([0]))
    assert loss == 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_bf16_and_autocast_still_score_in_float32(symmetric):
    anchors, candidates = embeddings(6, 64, seed=1), embeddings(9, 64, seed=2)
    anchors, candidates = anchors.bfloat16(), candidates.bfloat16()
    positives = torch.arange(6)
    exact = multiple_negatives_ranking(
        anchors.float(), candidates.float(), positives, symmetric=symmetric
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = multiple_negatives_ranking(anchors, candidates, positives, symmetric=symmetric)
    assert loss.dtype == torch.float32
    assert loss == exact


def test_a_zero_vector_gives_finite_gradients():
    anchors = torch.zeros(2, 4, requires_grad=True)
    candidates = torch.zeros(3, 4, requires_grad=True)
    multiple_negatives_ranking(anchors, candidates, torch.tensor([0, 1]), symmetric=True).backward()
    assert anchors.grad.isfinite().all()
    assert candidates.grad.isfinite().all()


@pytest.mark.parametrize(
    ("anchors", "candidates", "positives", "excluded", "named"),
    [
        ((2, 4), (3, 5), (2,), None, "same D"),
        ((0, 4), (3, 4), (0,), None, "at least one row"),
        ((4,), (3, 4), (4,), None, "anchors_BD"),
        ((2, 4), (3, 4), (2, 1), None, "positives_B"),
        ((2, 4), (3, 4), (2,), (2, 2), "excluded_BC"),
    ],
)
def test_wrong_shapes_are_refused(anchors, candidates, positives, excluded, named):
    with pytest.raises(ValueError, match=named):
        multiple_negatives_ranking(
            torch.ones(anchors),
            torch.ones(candidates),
            torch.zeros(positives, dtype=torch.int64),
            excluded_BC=None if excluded is None else torch.zeros(excluded, dtype=torch.bool),
        )


def test_an_unknown_similarity_is_refused():
    with pytest.raises(ValueError, match="euclid"):
        multiple_negatives_ranking(
            torch.ones(1, 2), torch.ones(1, 2), torch.tensor([0]), similarity="euclid"
        )


@pytest.mark.parametrize("seed", range(5))
def test_exclusions_follow_the_definition(seed):
    generator = torch.Generator().manual_seed(seed)
    anchors = torch.randint(6, (12,), generator=generator)
    candidates = torch.randperm(15, generator=generator)  # distinct; ids shared with the anchors
    positives = torch.randint(15, (12,), generator=generator)
    expected = loop_exclusions(anchors.tolist(), candidates.tolist(), positives.tolist())
    assert torch.equal(exclusions(anchors, candidates, positives), expected)
    assert expected.any()


@pytest.mark.parametrize("seed", range(3))
def test_exclusions_compare_texts_when_candidates_repeat(seed):
    generator = torch.Generator().manual_seed(seed)
    anchors = torch.randint(6, (12,), generator=generator)
    candidates = torch.randint(10, (15,), generator=generator)
    positives = torch.randint(15, (12,), generator=generator)
    expected = loop_exclusions(anchors.tolist(), candidates.tolist(), positives.tolist())
    assert torch.equal(exclusions(anchors, candidates, positives), expected)


def test_exclusions_refuse_wrong_shapes():
    ids = torch.tensor([1, 2])
    with pytest.raises(ValueError, match="positives_B"):
        exclusions(ids, ids, torch.tensor([0]))
    with pytest.raises(ValueError, match="candidate_ids_C"):
        exclusions(ids, ids[None], torch.tensor([0, 1]))


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_large_batch_is_scored_some_rows_at_a_time_with_the_same_result(symmetric, monkeypatch):
    torch.manual_seed(0)
    anchors = torch.randn(13, 4, dtype=torch.float64, requires_grad=True)
    candidates = torch.randn(17, 4, dtype=torch.float64, requires_grad=True)
    positives = torch.randint(17, (13,))
    excluded = torch.rand(13, 17) < 0.2

    def run():
        loss = multiple_negatives_ranking(
            anchors, candidates, positives, excluded_BC=excluded, symmetric=symmetric
        )
        return loss, *torch.autograd.grad(loss, (anchors, candidates))

    whole = run()
    seen = []
    cross_entropy = ranking.functional.cross_entropy

    def watched(scores, *arguments, **options):
        seen.append(scores.shape)
        return cross_entropy(scores, *arguments, **options)

    monkeypatch.setattr(ranking, "SCORES_AT_ONCE", 5 * 17)
    monkeypatch.setattr(ranking.functional, "cross_entropy", watched)
    for one, other in zip(run(), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert max(rows * columns for rows, columns in seen) <= 5 * 17
