"""Speech tokens of a text that is not complete yet: five tokens of text, fifteen of speech, and so on.

CosyVoice 2 is trained for it, and its library speaks so by `Qwen2LM.inference_bistream`: a generator that asks another
one for text and can but wait where there is none, on the thread that speaks for everybody. Here the same networks are
driven through the same sequence, a step whenever one is asked for; where text is lacking, there is none to be made.

What the library does wrong in it, and what is done here:

- A text that ends before all of the recording's speech was interleaved: the library forgets the rest of that speech,
  so that the model finds itself amid the recording's text and says the rest of that, too. Here it follows the text, as
  in training; such a text is spoken exactly as `inference` speaks it.
- After a fill token at the text's end the library feeds the last speech token twice.
- Its end may come before a short text is said (or before anything is), or never. Here the bounds of `inference` hold.
- A token that is neither speech nor what ends a block is an error there; here it is never drawn.
- `cosyvoice2-eu` leaves the first block's end to the model, and a model that finds none says no more of the text. Here
  each block ends after fifteen tokens at the latest, as in the library's own code of today.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import torch

from adapters.tts.cosyvoice_files import LoadedCosyVoice
from adapters.tts.cosyvoice_speech import Chance
from adapters.tts.cosyvoice_voice import CosyVoiceVoice
from adapters.tts.ranges import phase

_FEWEST: Final = 2
_MOST: Final = 20
"""Speech tokens for each one of text, as in the library's `inference`."""
_CHOICE: Final = 25
"""Tokens among which one is drawn again when the first draw repeats itself; as the library."""
_BEGIN: Final = 0
_SPEAK: Final = 1
"""Rows of `llm_embedding`: a sequence begins; all of the text is there, now say the rest of it."""
_Tensor = Any
"""torch has no types where it is not installed."""


class InterleavedTokens:
    """What a text is spoken with, asked for token by token (40 ms each) while the text still comes.

    Attributes:
        said: speech tokens so far.
    """

    def __init__(self, loaded: LoadedCosyVoice, voice: CosyVoiceVoice, chance: Chance) -> None:
        self._llm = loaded.llm
        self._device = loaded.device
        self._chance = chance
        self._text_size, self._speech_size = (int(size) for size in loaded.llm.mix_ratio)
        self._end = int(loaded.llm.speech_token_size)
        self._fill = self._end + 2
        self._text: deque[int] = deque(voice.text[0].tolist())
        self._given: deque[int] = deque(voice.said[0].tolist())
        self._read = -len(self._text)
        self._added = 0
        self._input: list[_Tensor] = [self._marker(_BEGIN)]
        self._cache: Any = None
        self._drawn: list[int] = []
        self._reads: list[tuple[int, int]] = []
        self._room = 0
        self._is_complete = self._is_ending = self._is_over = False
        self.said = 0

    def add(self, text: Sequence[int]) -> None:
        """More text tokens."""
        self._text.extend(text)
        self._added += len(text)

    def complete(self) -> None:
        """No more text comes."""
        self._is_complete = True

    @property
    def can_go_on(self) -> bool:
        """Whether `next` would compute: there is text enough for a block, or all of it."""
        if self._is_over or not self._added:
            return False
        return self._room > 0 or self._is_ending or self._is_complete or len(self._text) >= self._wanted

    def said_before(self, index: int) -> int:
        """How much was said when a token of the added text was read: none of it was said earlier."""
        return next((said for read, said in self._reads if read > index), self.said)

    def next(self) -> int | None:
        """The next speech token; None when text is lacking, or all is said."""
        with torch.inference_mode():
            while self.can_go_on:
                if not self._room and not self._is_ending:
                    self._take_text()
                token = self._draw()
                if token < self._end:
                    self._say(token)
                    return token
                self._drawn.append(token)
                self._room = 0
                self._is_over = token == self._end
        return None

    @property
    def _wanted(self) -> int:
        """Text tokens before anything more can be said: with all of the recording's speech, and at least a block."""
        return self._text_size * (len(self._given) // self._speech_size + 1)

    def _take_text(self) -> None:
        if len(self._text) < self._wanted:
            self._is_ending = True
            self._input += [self._text_of(len(self._text)), self._marker(_SPEAK), self._speech_of(len(self._given))]
        else:
            for _ in range(len(self._given) // self._speech_size + 1):
                begun = min(len(self._given), self._speech_size)
                self._input += [self._text_of(self._text_size), self._speech_of(begun)]
                self._room = self._speech_size - begun
        self._reads.append((self._read, self.said))

    def _draw(self) -> int:
        if self._is_ending and self.said >= _MOST * self._added:
            return self._end
        with self._chance.drawn(), phase("cosyvoice.llm"):
            heard = torch.cat(self._input, dim=1)
            hidden, self._cache = self._llm.llm.forward_one_step(
                heard, torch.ones(1, 1, 1, dtype=torch.bool, device=self._device), self._cache
            )
            self._input = []
            scores = self._llm.llm_decoder(hidden[:, -1]).log_softmax(dim=-1).squeeze(0)
            may_end = self._is_ending and self.said >= _FEWEST * self._added
            allowed = self._end if may_end else None if self._is_ending else self._fill
            for never in {self._end, self._end + 1, self._fill} - {allowed}:
                scores[never] = -torch.inf
            return int(self._llm.sampling_ids(scores, self._drawn, _CHOICE, ignore_eos=False))

    def _say(self, token: int) -> None:
        """Its own step is made together with the next text's when it ends a block: one less in sixteen."""
        self.said += 1
        self._drawn.append(token)
        self._input = [self._llm.speech_embedding.weight[token].reshape(1, 1, -1)]
        if not self._is_ending:
            self._room -= 1
            if not self._room:
                self._drawn.append(self._fill)

    def _marker(self, row: int) -> _Tensor:
        return self._llm.llm_embedding.weight[row].reshape(1, 1, -1)

    def _text_of(self, count: int) -> _Tensor:
        self._read += count
        taken = [self._text.popleft() for _ in range(count)]
        return self._llm.llm.model.get_input_embeddings()(self._ids(taken))

    def _speech_of(self, count: int) -> _Tensor:
        return self._llm.speech_embedding(self._ids([self._given.popleft() for _ in range(count)]))

    def _ids(self, tokens: Sequence[int]) -> _Tensor:
        return torch.tensor([list(tokens)], dtype=torch.long, device=self._device)
