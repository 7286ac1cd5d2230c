"""The package gives every loss there is."""

import importlib
import pkgutil

from tenor import losses

HELPERS = {"checks", "distances", "logit_checks", "upcast"}


def test_every_public_loss_is_there():
    modules = {found.name for found in pkgutil.iter_modules(losses.__path__)} - HELPERS
    public = set()
    for name in modules:
        module = importlib.import_module(f"tenor.losses.{name}")
        public |= {each for each in module.__all__ if each.islower()}
        for each in module.__all__:
            if each.islower():
                assert getattr(losses, each) is getattr(module, each)
    assert public == set(losses.__all__)
