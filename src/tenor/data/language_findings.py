"""Findings about the languages and the writing systems that texts are in."""

from __future__ import annotations

from collections.abc import Mapping

from tenor.data.findings import Finding, Severity
from tenor.data.languages import TEXTS, told_shares
from tenor.data.profile import Profile

__all__ = ["languages_and_scripts"]

MINOR_LANGUAGE = 0.05  # share of the texts that can be told, from which it is worth a word
FEWEST_TEXTS = 3  # in a language: one or two may be misjudged
MINOR_SCRIPT = 0.02  # share of the texts; lower, as it is told without errors
ADVICE = "see that the model learnt {which}, or name another by --model (the default: English)"


def languages_and_scripts(path: str, profile: Profile) -> Finding | None:
    """Several languages, one that is not English, or a writing system that few models know."""
    enough = FEWEST_TEXTS / min(profile.texts, TEXTS) if profile.texts else 1.0
    notable = {
        name: share
        for name, share in told_shares(profile.languages).items()
        if share >= MINOR_LANGUAGE and profile.languages[name] >= enough
    }
    if len(notable) > 1:
        message = (
            f"the texts are in several languages ({_shares(notable)}): "
            f"{ADVICE.format(which='all of them')}, and measure each language by itself: a figure "
            "of all hides how the rarer ones fare."
        )
        return _finding("languages", "warning", path, message, profile.languages)
    if notable and "en" not in notable:
        message = f"the texts are in one language, {_shares(notable)}: {ADVICE.format(which='it')}."
        return _finding("languages", "note", path, message, profile.languages)
    return _scripts(path, profile)


def _scripts(path: str, profile: Profile) -> Finding | None:
    scripts = {name: share for name, share in profile.scripts.items() if name != "none"}
    notable = {name: share for name, share in scripts.items() if share >= MINOR_SCRIPT}
    if not notable or notable.keys() == {"Latin"}:
        return None
    message = f"the texts are in {_shares(notable)}: {ADVICE.format(which='these languages')}."
    return _finding("scripts", "note", path, message, profile.scripts)


def _finding(
    code: str, severity: Severity, path: str, message: str, mix: Mapping[str, float]
) -> Finding:
    return Finding(code=code, severity=severity, path=path, message=message, figures=dict(mix))


def _shares(mix: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in mix.items())
