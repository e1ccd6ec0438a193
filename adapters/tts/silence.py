"""Trims the silence around a sentence while it is made."""

from typing import Final

import numpy as np

from protocol.ports import Pcm

_WINDOW_S: Final = 0.005
_LEAD_S: Final = 0.02
"""Kept before the first audible window, so that a soft onset (an h, an f) is not cut."""
_FADE_S: Final = 0.005
_THRESHOLD: Final = 10.0 ** (-56.0 / 20.0)
"""A window is audible over -56 dBFS. Voices are about 10 dB below the loudness they are brought to."""


class SilenceTrimmer:
    """One sentence: drops the lead-in, keeps pauses inside, and ends with exactly `pause_s` of silence.

    `pause_s` may be set until the end: it depends on the sentence's last character.
    """

    def __init__(self, rate: int, *, pause_s: float = 0.0) -> None:
        self._rate = rate
        self._window = int(rate * _WINDOW_S)
        self._lead = int(rate * _LEAD_S)
        self._fade = int(rate * _FADE_S)
        self.pause_s = pause_s
        self._held: Pcm = np.zeros(0, np.float32)
        self._begun = False
        self.dropped = 0
        """Samples dropped before the first one kept; it holds once something was given out."""

    def feed(self, pcm: Pcm) -> Pcm:
        """What is certain to be kept, up to the last audible window; the silence after it is held back."""
        self._held = np.concatenate((self._held, pcm))
        whole = len(self._held) // self._window
        squares = np.square(self._held[: whole * self._window]).reshape(whole, self._window).mean(axis=1)
        audible = np.flatnonzero(squares > _THRESHOLD**2)
        if not audible.size:
            if not self._begun:
                self._drop(max(0, len(self._held) - self._lead - self._window))
            return np.zeros(0, np.float32)
        end = (int(audible[-1]) + 1) * self._window
        if not self._begun:
            self._begun = True
            silent = max(0, int(audible[0]) * self._window - self._lead)
            self._drop(silent)
            end -= silent
        given, self._held = self._held[:end], self._held[end:]
        return given

    def finish(self) -> Pcm:
        """The pause: the tail of the sound as far as it goes, faded out, then silence. Nothing if nothing was heard."""
        if not self._begun:
            return np.zeros(0, np.float32)
        tail = np.zeros(int(self._rate * self.pause_s), np.float32)
        kept = self._held[: len(tail)]
        tail[: len(kept)] = kept
        fade = min(self._fade, len(kept))
        tail[len(kept) - fade : len(kept)] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return tail

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._held = self._held[count:]
