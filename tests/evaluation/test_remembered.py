import numpy as np

from tenor.evaluation.remembered import RememberedVectors


class Lengths:
    """The vector of a text is its length and that of its prompt."""

    def __init__(self):
        self.calls = []

    def encode_counted(self, texts, *, prompt=None):
        self.calls.append((list(texts), prompt))
        vectors = [[len(text), len(prompt or "")] for text in texts]
        return np.array(vectors, dtype=np.float32).reshape(-1, 2), sum(len(t) > 4 for t in texts)


def test_texts_come_back_in_order_and_each_is_encoded_once():
    model = Lengths()
    remembered = RememberedVectors(model)
    assert remembered.vectors(["bb", "a", "bb"], scope="task").tolist() == [[2, 0], [1, 0], [2, 0]]
    assert remembered.vectors(["a", "ccccc"], scope="task").tolist() == [[1, 0], [5, 0]]
    assert model.calls == [(["bb", "a"], None), (["ccccc"], None)]
    assert remembered.truncated == 1


def test_another_prompt_or_task_is_encoded_anew():
    model = Lengths()
    remembered = RememberedVectors(model)
    remembered.vectors(["a"], scope="one")
    assert remembered.vectors(["a"], prompt="xy", scope="one").tolist() == [[1, 2]]
    remembered.vectors(["a"], scope="two")
    assert len(model.calls) == 3


def test_more_texts_than_are_remembered():
    model = Lengths()
    remembered = RememberedVectors(model, capacity=3)
    remembered.vectors(["a", "bb"])
    assert remembered.vectors(["bb", "ccc", "dddd"]).tolist() == [[2, 0], [3, 0], [4, 0]]
    many = [str(number) for number in range(10)]
    assert remembered.vectors(many).shape == (10, 2)
    assert remembered.vectors([]).shape == (0, 2)
