"""Without torchrun there is one process, which waits for nobody."""

import numpy as np

from tenor.training.processes import (
    first_process_first,
    is_first_process,
    leave_processes,
    own_share,
    this_process,
)
from tiny import tiny_data


def test_alone_a_process_is_the_first_and_waits_for_nobody(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert this_process() == (0, 1)
    assert is_first_process()
    with first_process_first("cpu"):
        pass
    assert this_process() == (0, 1)
    leave_processes()


def test_before_they_join_a_process_knows_whether_it_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()


def test_processes_share_every_text_and_none_is_without_one():
    data = tiny_data("triplets", 1)
    batch = data.batch(np.arange(1))
    count = len(batch.texts)
    shares = [own_share(batch, number, count + 2) for number in range(count + 2)]
    counted = np.concatenate([positions[:own] for positions, own in shares])
    assert sorted(counted.tolist()) == list(range(count))
    assert all(len(positions) >= 1 for positions, _ in shares)
    assert [own for _, own in shares[count:]] == [0, 0]
