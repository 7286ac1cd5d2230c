"""What recipes of several stages share."""

from dataclasses import dataclass

import pytest

from tenor.errors import ConfigError
from tenor.recipes.stages import finished_before
from tenor.training.run import Run


@dataclass(frozen=True)
class Config:
    out: str
    seed: int = 0
    resume: bool = True


def test_a_run_that_is_done_is_found_said_and_not_done_again(tmp_path, caplog):
    out = tmp_path / "run"
    caplog.set_level("INFO", logger="tenor")
    assert finished_before(Config(str(out))) is None
    assert not out.exists()
    run = Run(out, Config(str(out)))
    assert finished_before(Config(str(out))) is None
    run.write_result({"steps": 3})
    assert finished_before(Config(str(out), resume=False)) is None
    assert finished_before(Config(str(out))) == {"steps": 3}
    assert "run is done already; nothing to resume." in caplog.text
    with pytest.raises(ConfigError, match=r"seed = 1 .* as in the run that is resumed"):
        finished_before(Config(str(out), seed=1))
