"""Words as they are compared: without case, punctuation and hyphens, so that "Mm-hmm." is "mmhmm"."""

import re

_JOINTS = "['\N{RIGHT SINGLE QUOTATION MARK}-]"
_WORD = re.compile(rf"[^\W_]+(?:{_JOINTS}[^\W_]+)*")
_JOINT = re.compile(_JOINTS)


def bare_words(text: str) -> tuple[str, ...]:
    """The words of a transcript in lower case; a text without letters or digits has none."""
    return tuple(_JOINT.sub("", word) for word in _WORD.findall(text.lower()))
