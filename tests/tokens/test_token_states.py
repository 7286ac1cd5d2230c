"""States of tokens travel with their tokens into a batch."""

from dataclasses import replace

import numpy as np
import torch

from tenor.tokens.packed import PackedBatch
from tenor.tokens.token_states import TokenStates
from tiny import random_ids


def test_a_batch_has_the_states_of_its_own_tokens():
    ids = random_ids([3, 7, 2, 5])
    vectors = torch.arange(17.0)[:, None].repeat(1, 4).bfloat16()
    ids = replace(ids, states=TokenStates(2, vectors))
    batch = PackedBatch.of(ids, [3, 0], filler_id=5)
    assert batch.states.depth == 2 and batch.states.vectors.dtype == torch.bfloat16
    assert batch.states.vectors[:, 0].tolist()[:8] == [12, 13, 14, 15, 16, 0, 1, 2]
    assert len(batch.states.vectors) == batch.tokens == 64
    assert not batch.states.vectors[8:].any()  # the filler
    assert PackedBatch.of(ids, rounded=False).states.vectors.equal(vectors)
    assert batch.to("meta").states.vectors.device.type == "meta"
    assert PackedBatch.of(random_ids([3])).states is None


def test_taking_copies():
    states = TokenStates(1, torch.zeros(3, 2))
    taken = states.take(np.array([2, 0]), filler=1)
    taken.vectors.add_(1.0)
    assert taken.vectors.shape == (3, 2) and not states.vectors.any()
