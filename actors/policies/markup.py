"""Markdown out of a stream of text: what a voice should not read aloud. Pure.

Three layers, each a character at a time, so that the result never depends on how the text was cut into deltas: marks
at the beginning of a line, links, emphasis. Each holds back a bounded number of characters.
"""

# ruff: noqa: RUF001 - quotation marks are the subject

import re
import unicodedata
from typing import Final

_MAX_LINE_START: Final = 80
_MAX_LABEL: Final = 200
_MAX_TARGET: Final = 500
_MAX_RUN: Final = 80

_LINE_MARKS: Final = frozenset("#>-+*=_`|: \t")
_QUOTE: Final = re.compile(r"[ \t]*(?:>[ \t]*)+")
_HEADING: Final = re.compile(r"[ \t]*#{1,6}[ \t]+")
_BULLET: Final = re.compile(r"[ \t]*[-+*][ \t]+")
_FENCE: Final = re.compile(r"[ \t]*```")
_RULE: Final = re.compile(r"[ \t]*([-*_=])(?:[ \t]*\1){2,}[ \t]*")
_TABLE_RULE: Final = re.compile(r"[ \t]*\|[-:| \t]*-[-:| \t]*")
_TARGET: Final = re.compile(r"\S*(?:\s+[\"'(].*)?\s*")
_PARAGRAPH: Final = "\n\n"


class Markup:
    """Takes markdown's symbols away and keeps every word; headings and list items become paragraphs of their own."""

    def __init__(self) -> None:
        self._lines = _LineStarts()
        self._links = _Links()
        self._emphasis = _Emphasis()

    def feed(self, delta: str) -> str:
        """What of the text so far is settled and was not returned before."""
        text = "".join(char for char in delta if _is_text(char))
        return self._emphasis.feed(self._links.feed(self._lines.feed(text)))

    def finish(self) -> str:
        """The rest."""
        links = self._links.feed(self._lines.finish()) + self._links.finish()
        return self._emphasis.feed(links) + self._emphasis.finish()


def strip_markup(text: str) -> str:
    """The whole text without its markdown."""
    markup = Markup()
    return markup.feed(text) + markup.finish()


def _is_text(char: str) -> bool:
    """Control characters and halves of surrogate pairs are neither spoken nor carried by JSON."""
    return char.isspace() or unicodedata.category(char) not in {"Cc", "Cs"}


class _LineStarts:
    """Headings, quotes, bullets, rules, fences and table rows are known by how a line begins."""

    def __init__(self) -> None:
        self._start: str | None = ""
        """What the line began with while it may be a mark; None further on in the line."""
        self._fence = False
        self._heading = False
        self._table = False

    def feed(self, text: str) -> str:
        return "".join(self._take(char) for char in text)

    def finish(self) -> str:
        return self._settle_end()

    def _take(self, char: str) -> str:
        if char == "\n":
            return self._end_line()
        if self._start is not None:
            if char in _LINE_MARKS and len(self._start) < _MAX_LINE_START:
                self._start += char
                return ""
            settled = self._settle(self._start)
            self._start = None
            return settled + self._in_line(char)
        return self._in_line(char)

    def _in_line(self, char: str) -> str:
        if self._fence:
            return ""  # what follows a fence on its line names a language
        return " " if char == "|" and self._table else char

    def _end_line(self) -> str:
        text = self._settle_end() + (_PARAGRAPH if self._heading else "\n")
        self._start, self._fence, self._heading, self._table = "", False, False, False
        return text

    def _settle_end(self) -> str:
        """The line ended while its beginning was still open."""
        start, self._start = self._start, None
        if not start or _RULE.fullmatch(start) or _TABLE_RULE.fullmatch(start):
            return ""
        return self._settle(start)

    def _settle(self, start: str) -> str:
        """What stays of a line's beginning."""
        if quote := _QUOTE.match(start):
            return self._settle(start[quote.end() :])
        if _FENCE.match(start):
            self._fence = True
            return ""
        if heading := _HEADING.match(start):
            self._heading = True
            return _PARAGRAPH + start[heading.end() :]
        if bullet := _BULLET.match(start):
            return _PARAGRAPH + self._settle(start[bullet.end() :])
        if start.lstrip().startswith("|"):
            self._table = True
            return start.replace("|", " ")
        return start


class _Links:
    """`[label](target)` and `![label](target)` become the label; other brackets stay as they are."""

    def __init__(self) -> None:
        self._held = ""
        """Literal text since a `!` or `[` that may begin a link."""
        self._label: str | None = None
        """The label, once its `]` is seen."""
        self._depth = 0

    def feed(self, text: str) -> str:
        return "".join(self._take(char) for char in text)

    def finish(self) -> str:
        return self._give_up()

    def _take(self, char: str) -> str:
        if self._depth:
            return self._in_target(char)
        if self._label is not None:
            return self._after_label(char)
        if "[" in self._held:
            return self._in_label(char)
        if char == "[":
            self._held += char
            return ""
        literal = self._give_up()
        if char == "!":
            self._held = char
            return literal
        return literal + char

    def _in_label(self, char: str) -> str:
        if char in "[\n" or len(self._held) >= _MAX_LABEL:
            return self._give_up() + self._take(char)
        self._held += char
        if char == "]":
            self._label = self._held.removeprefix("!")[1:-1]
        return ""

    def _after_label(self, char: str) -> str:
        if char != "(":
            return self._give_up() + self._take(char)
        self._held += char
        self._depth = 1
        return ""

    def _in_target(self, char: str) -> str:
        if char == "\n" or len(self._held) >= _MAX_TARGET:
            return self._give_up() + self._take(char)
        self._held += char
        self._depth += {"(": 1, ")": -1}.get(char, 0)
        return "" if self._depth else self._resolve()

    def _resolve(self) -> str:
        label = self._label or ""
        target = self._held.removeprefix("!")[len(label) + 3 : -1]
        if not _TARGET.fullmatch(target):
            return self._give_up()
        self._held, self._label = "", None
        return label

    def _give_up(self) -> str:
        """It was no link: what was held is text."""
        held, self._held, self._label, self._depth = self._held, "", None, 0
        return held


class _Emphasis:
    """Runs of `*`, `_`, `~` and backticks go, unless they stand for themselves, as in `3 * 4` and `snake_case`."""

    def __init__(self) -> None:
        self._run = ""
        self._before = ""

    def feed(self, text: str) -> str:
        return "".join(self._take(char) for char in text)

    def finish(self) -> str:
        return self._end_run("")

    def _take(self, char: str) -> str:
        if self._run and char == self._run[0] and len(self._run) < _MAX_RUN:
            self._run += char
            return ""
        kept = self._end_run(char)
        if char in "*_~`":
            self._run = char
            return kept
        self._before = char
        return kept + char

    def _end_run(self, after: str) -> str:
        run, self._run = self._run, ""
        return run if run and _stands_for_itself(run, self._before, after) else ""


def _stands_for_itself(run: str, before: str, after: str) -> bool:
    if run[0] == "`":
        return False
    if run[0] == "~":
        return len(run) == 1
    inside_word = _is_ascii_word(before) and _is_ascii_word(after)
    if run[0] == "*" or len(run) > 1:
        alone = (not before or before.isspace()) and (not after or after.isspace())
        return inside_word or (alone and len(run) == 1)
    opens = _is_edge(before) and not after.isspace()
    closes = _is_edge(after) and not before.isspace()
    return not (opens or closes)


def _is_ascii_word(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _is_edge(char: str) -> bool:
    return not char or char.isspace() or char in "\"'([{<*_~`)]}>.,;:!?“”‘’«»"
