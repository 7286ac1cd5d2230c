"""Where one sentence ends and the next begins, by rules: no model, no download, any script."""

from __future__ import annotations

import re

__all__ = ["join_sentences", "split_sentences"]


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_OPENING = "\"'“‘«‹„‚([{¿¡「『（【《〈—–-*•"
_CLOSING = "\"'”’»›)\\]}」』）】》〉"
_NO_SPACE_AFTER = "。！？｡"
# Full stops that nothing else is written with: ideographic, Arabic and Urdu, Devanagari, Ethiopic,
# Armenian, Burmese, Khmer.
_ALWAYS = rf"{_NO_SPACE_AFTER}؟۔।॥።፧։။។៕"
_END = re.compile(rf"[.!?…‽]+(?:[{_CLOSING}]|\s»)*(?=\s)|[{_ALWAYS}][!?{_ALWAYS}]*[{_CLOSING}]*")
# A quotation's end is not its sentence's where Japanese goes on with a particle or a comma.
_GOES_ON = ("と", "っ", "、", "，")
# A blank line, a page break, or the next item of a list ends a sentence, whatever it ends in.
_BLOCK = re.compile(r"\n[^\S\n]*\n\s*|[\f\u2029]|\n(?=[^\S\n]*(?:[-*•·‣]|\(?\d{1,3}[.)])\s)")
_ENUMERATOR = re.compile(r"[-*•·‣\s]*\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]+")
_LETTER_BY_LETTER = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # J, U.S, a.m, z.B
_NEXT_WORD = re.compile(r"([^\W_]+)(\.?)")

_NEVER_LAST = _words(
    """
    mr mrs ms mx dr prof rev hon gen col maj capt cmdr lt sgt cpl sen rep gov pres supt messrs mme
    mlle fr hr vs e.g i.e eg ie cf viz z.b d.h u.a bzw vgl approx resp incl excl esp p.ej n.b
    """
)
_BEFORE_A_NUMBER = _words(
    """
    no nos nr fig figs eq eqs sec sect art arts ch chap vol vols p pp para pt op v ver ref refs tab
    jan feb mar apr jun jul aug sep sept oct nov dec ca c
    """
)
_SELDOM_LAST = _words(
    """
    etc inc ltd co corp llc plc bros jr sr dept univ assn assoc ave blvd rd st mt ft al est ed eds
    ph.d ph.ds b.sc m.sc min max abbr orig
    """
)
# After what seldom ends a sentence, only a word that commonly begins one tells that it did.
_STARTERS = _words(
    """
    the a an this that these those it its he she they we you i his her their our your my there here
    in on at by for from with without as if when while where after before since because although
    though however moreover furthermore therefore thus hence then and but or nor so also not yes
    what who why how which is are was were do does did can could may might will would should to all
    some many most each every both another other others such finally during despite unlike until
    """
)


def split_sentences(text: str) -> list[str]:
    r"""Split a text into sentences.

    A sentence ends at a full stop, question or exclamation mark with what closes a quotation or a
    bracket behind it, where white space and no lower-case letter follow; at the full stops of
    scripts that write no space there; at a blank line; and where a list goes on. Not after titles
    and other abbreviations, initials, and the number of a list's item. Where the rules are in
    doubt, they do not split.

    Args:
        text: any text. A single line break is white space.

    Returns:
        The sentences, none of them empty, white space collapsed.

    >>> split_sentences('Dr. J. Doe paid $3.50, e.g. in cash. "Why?" he asked. U.S. law is silent.')
    ['Dr. J. Doe paid $3.50, e.g. in cash.', '"Why?" he asked.', 'U.S. law is silent.']
    >>> split_sentences("今日は雨です。「行く。」と言った。")
    ['今日は雨です。', '「行く。」と言った。']
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    sentences = []
    for block in _BLOCK.split(text):
        start = 0
        for end in _END.finditer(block):
            if _ends(block, start, end):
                sentences.append(block[start : end.end()])
                start = end.end()
        sentences.append(block[start:])
    return [whole for sentence in sentences if (whole := " ".join(sentence.split()))]


def join_sentences(sentences: list[str]) -> str:
    """Put sentences together again, with a space where their script writes one.

    >>> join_sentences(["One.", "Two."]), join_sentences(["一。", "二。"])
    ('One. Two.', '一。二。')
    """
    parts: list[str] = []
    for sentence in sentences:
        if parts and not parts[-1].rstrip(_CLOSING).endswith(tuple(_NO_SPACE_AFTER)):
            parts.append(" ")
        parts.append(sentence)
    return "".join(parts)


def _ends(block: str, start: int, end: re.Match[str]) -> bool:
    """Whether a full stop or its like, found in a block, ends the sentence from `start`."""
    mark = end.group()
    if mark[0] in _ALWAYS:
        return mark[-1] in _ALWAYS or not block.startswith(_GOES_ON, end.end())
    rest = block[end.end() : end.end() + 60].lstrip().lstrip(_OPENING)
    if not rest:
        return not block[end.end() :].strip()
    if rest[0].islower() and not rest[1:2].isupper():  # "iPhones ring."
        return False
    if mark != ".":
        return True
    before = block[start : end.start()]
    if _ENUMERATOR.fullmatch(before.lstrip() + "."):
        return False
    last = before[-40:].rsplit(maxsplit=1)
    word = last[-1].lstrip(_OPENING) if last else ""
    name = word.lower()
    if name in _NEVER_LAST or (name in _BEFORE_A_NUMBER and rest[0].isdigit()):
        return False
    # Lower-case letters alone are seldom abbreviations: "in group b. Later".
    initials = _LETTER_BY_LETTER.fullmatch(word) and (len(word) > 1 or word.isupper())
    if name in _SELDOM_LAST or initials:
        following = _NEXT_WORD.match(rest)
        if following is None:
            return False
        begins = following[1].lower() in _STARTERS
        return begins and not (len(following[1]) == 1 and following[2])
    return True
