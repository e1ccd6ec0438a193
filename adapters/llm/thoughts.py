"""What a reasoning model thinks aloud before its answer, taken out of a stream."""

from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class WithoutThoughts:
    """Drops one `<think>…</think>` at the beginning of a reply; everything else passes at once."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._done = False

    def feed(self, delta: str) -> str:
        """What of the text so far belongs to the answer and was not returned before."""
        if self._done:
            return delta
        self._held += delta
        if not self._thinking:
            begun = self._held.lstrip()
            if begun.startswith(_OPEN):
                self._thinking = True
            elif not _OPEN.startswith(begun):
                return self._pass_on(self._held)
        return self._think() if self._thinking else ""

    def finish(self) -> str:
        """What was held back because it might have become a thought."""
        return "" if self._thinking else self._pass_on(self._held)

    def _think(self) -> str:
        _, closed, answer = self._held.partition(_CLOSE)
        if closed:
            self._thinking = False
            return self._pass_on(answer)
        self._held = self._held[-len(_CLOSE) :]
        return ""

    def _pass_on(self, text: str) -> str:
        self._held, self._done = "", True
        return text
