"""Which column plays which role, and what the labels of a pair mean.

| columns                                     | kind             |
|---------------------------------------------|------------------|
| anchor, positive                            | `pairs`          |
| anchor, positive, negative, negative_2, ... | `triplets`       |
| sentence1, sentence2, score                 | `scored`         |
| premise, hypothesis, label                  | `nli`            |
| sentence1, sentence2, label                 | `labelled_pairs` |
| text, label                                 | `labelled_texts` |
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tenor.errors import ConfigError, DataError

__all__ = [
    "NLI_LABELS",
    "Kind",
    "check_roles",
    "label_name",
    "recognise_pair_labels",
    "recognise_roles",
    "standard_names",
]

Kind = Literal[
    "pairs", "triplets", "scored", "labelled_pairs", "nli", "labelled_texts", "multi_labelled_texts"
]

NLI_LABELS = ("entailment", "neutral", "contradiction")

_ANCHORS = ("anchor", "query", "question")
_POSITIVES = ("positive", "answer", "response", "document", "passage")
_NEGATIVE = re.compile(r"negative(?:_(\d+))?")
_FIXED_ROLES = {
    "anchor", "positive", "sentence1", "sentence2", "premise", "hypothesis",
    "score", "label", "text",
}  # fmt: skip
_ACCEPTED = (
    "anchor + positive (or query/question + answer/response/document/passage), with negative, "
    "negative_2, ... if there are; sentence1 + sentence2 + score; sentence1 + sentence2 or "
    "premise + hypothesis, + label; text + label"
)
# Names of the two labels of a pair, the one for "different" first.
_BINARY_LABELS = (("0", "1"), ("false", "true"), ("no", "yes"))


def check_roles(mapping: Mapping[str, str]) -> None:
    """Raises `ConfigError` where a mapping of roles to columns names a role there is not."""
    for role in mapping:
        if role not in _FIXED_ROLES and not _NEGATIVE.fullmatch(role):
            allowed = f"made of the roles {', '.join(sorted(_FIXED_ROLES))}, negative, negative_2"
            raise ConfigError("columns", mapping, allowed)


def recognise_roles(found: Sequence[str], mapping: Mapping[str, str], path: str) -> dict[str, str]:
    """Role to column for the kind that fits: by the mapping alone, else with what is found."""
    for name in mapping.values():
        if name not in found:
            listed = ", ".join(map(repr, found))
            raise DataError(f"there is no such column; found: {listed}.", path=path, column=name)
    roles = _complete_kind(mapping, mapping)
    if roles is None:
        taken = set(mapping.values())
        conventional = {name: name for name in found if name in _FIXED_ROLES and name not in taken}
        conventional |= {name: name for name in found if _NEGATIVE.fullmatch(name)}
        for role, names in (("anchor", _ANCHORS), ("positive", _POSITIVES)):
            if role in mapping or role in found:
                continue
            candidates = [name for name in names if name in found and name not in taken]
            if len(candidates) > 1:
                which = " and ".join(candidates)
                raise DataError(
                    f"the columns {which} could each be the {role}. Say which, e.g. "
                    f'columns={{"{role}": "{candidates[0]}"}}.',
                    path=path,
                )
            if candidates:
                conventional[role] = candidates[0]
        roles = _complete_kind(conventional | dict(mapping), mapping)
        marked = {"score", "label"} & conventional.keys()
        guessed = roles is not None and any(
            roles.get(role, role) != role and role not in mapping for role in ("anchor", "positive")
        )
        if roles is not None and guessed and marked:
            first, second, mark = roles["anchor"], roles["positive"], marked.pop()
            raise DataError(
                f"{first} and {second} stand beside a {mark}. If every row is a positive pair, say "
                f'columns={{"anchor": "{first}", "positive": "{second}"}}; if the {mark} tells, '
                f'columns={{"sentence1": "{first}", "sentence2": "{second}", "{mark}": "{mark}"}}.',
                path=path,
            )
    if roles is None:
        listed = ", ".join(map(repr, found))
        raise DataError(
            f"the columns {listed} are none of those that can be used: {_ACCEPTED}. Map yours to "
            'these roles, e.g. columns={"anchor": "title", "positive": "body"}.',
            path=path,
        )
    return roles


def standard_names(roles: Sequence[str]) -> dict[str, str]:
    """Role to its name in a `PairTable`: a premise is a `sentence1`, negatives count from 1."""
    renamed = {"premise": "sentence1", "hypothesis": "sentence2"}
    negatives = [role for role in roles if _NEGATIVE.fullmatch(role)]
    for number, role in enumerate(negatives, start=1):
        renamed[role] = "negative" if number == 1 else f"negative_{number}"
    return {role: renamed.get(role, role) for role in roles}


def recognise_pair_labels(
    values: Sequence[Any], entailment_columns: bool, path: str, column: str
) -> tuple[Kind, tuple[str, ...]]:
    """The kind of labelled pairs and the names of its labels in order; `path` for the error."""
    seen = {label_name(value).lower() for value in values} - {""}
    numbers = {name for name in seen if re.fullmatch(r"-?[0-9.]+", name)}
    graded = len(numbers) > 5 or any("." in name for name in numbers)
    if seen & set(NLI_LABELS) and "not_entailment" not in seen:
        return "nli", NLI_LABELS
    if "2" in seen and not graded:
        return "nli", NLI_LABELS
    if entailment_columns and seen & {"0", "1"} and not graded:
        raise DataError(
            "labels 0 and 1 of a premise and a hypothesis can mean two things. Write entailment, "
            "neutral and contradiction; or, if 1 means the same, name the columns sentence1 and "
            "sentence2.",
            path=path,
            column=column,
        )
    if seen == {"-1", "1"}:
        return "labelled_pairs", ("-1", "1")
    for names in _BINARY_LABELS:
        if seen & set(names) and not graded:
            return "labelled_pairs", names
    for negation in ("not_", "non_", "not ", "non-", "not-"):
        for same in seen:
            if seen == {same, negation + same}:
                return "labelled_pairs", (negation + same, same)
    shown = ", ".join(map(repr, sorted(seen)[:6])) + (", ..." if len(seen) > 6 else "")
    raise DataError(
        f"the labels {shown or 'are all empty and'} cannot be understood: a pair's label is 0 or 1 "
        "(1: the same meaning), or entailment, neutral or contradiction. If these are scores, map "
        f'the column: columns={{"score": "{column}"}}.',
        path=path,
        column=column,
    )


def label_name(value: Any) -> str:
    """A label as text: 1, 1.0, "1.0" and " 1 " are the same one; "" where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    name = str(value).strip()
    return re.sub(r"^(-?[0-9]+)\.0+$", r"\1", name) if "." in name else name


def _complete_kind(roles: Mapping[str, str], required: Mapping[str, str]) -> dict[str, str] | None:
    """The roles of the most specific kind that `roles` make, in order, all `required` in it."""
    negatives = [role for role in roles if _NEGATIVE.fullmatch(role)]
    negatives.sort(key=lambda role: int(role.partition("_")[2] or 0))
    for needed in (
        ["anchor", "positive", *negatives],
        ["sentence1", "sentence2", "score"],
        ["premise", "hypothesis", "score"],
        ["premise", "hypothesis", "label"],
        ["sentence1", "sentence2", "label"],
        ["text", "label"],
    ):
        if roles.keys() >= set(needed) >= required.keys():
            return {role: roles[role] for role in needed}
    return None
