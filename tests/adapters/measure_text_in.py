"""What text-in streaming does to the first sound: `python -m tests.adapters.measure_text_in`, with CosyVoice installed.

A reply comes a word at a time, as a language model writes it. Phrase by phrase, speech begins when the first clause is
there; streamed, when the model has read enough of it. Variants are interleaved, so that a busy machine is busy for all
of them. The checkpoint is a tiny one with random weights, and reads letters for tokens.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from actors.policies.phrasing import Phrasing
from tests.adapters.cosyvoice_stage import Steps, opened
from tests.checkpoints.cosyvoice import build_cosyvoice

REPLY: Final = "Well, that depends on what you want, because there are many ways to do it, and some of them are long."
WORD_S: Final = 0.05
"""A language model of 25 to 30 tokens a second."""
ROUNDS: Final = 5
Pieces = Iterator[tuple[float, str]]
"""When each comes, in seconds, and its text."""


def words() -> Pieces:
    for index, word in enumerate(REPLY.split(), 1):
        yield index * WORD_S, word


def phrases() -> Pieces:
    """As the gateway cuts them; a piece is there once the character after it is."""
    phrasing = Phrasing("en")
    at = 0.0
    for at, word in words():
        yield from ((at, piece) for piece in phrasing.feed(f"{word} "))
    yield from ((at, piece) for piece in phrasing.finish())


def by_phrase(model: Any, pieces: Pieces) -> float:
    """Seconds to the first sound."""
    began = time.perf_counter()
    at, text = next(pieces)
    time.sleep(at)
    next(model.synthesize(text, language="en", speed=1.0))
    return time.perf_counter() - began


def streamed(model: Any, pieces: Pieces) -> float:
    began = time.perf_counter()
    stream = model.stream(language="en", speed=1.0)
    coming = list(pieces)
    while True:
        while coming and coming[0][0] <= time.perf_counter() - began:
            stream.add(coming.pop(0)[1])
        if not coming:
            stream.complete()
        if not stream.has_work:
            time.sleep(max(0.0, coming[0][0] - (time.perf_counter() - began)))
        elif stream.step().pcm.size:
            return time.perf_counter() - began


VARIANTS: Final[dict[str, tuple[Callable[[Any, Pieces], float], Callable[[], Pieces]]]] = {
    "phrase, as the gateway cuts": (by_phrase, phrases),
    "stream, as the gateway cuts": (streamed, phrases),
    "stream, a word a piece": (streamed, words),
}


def main() -> None:
    table = Table("mode", "text in", "first sound, ms", "first piece there, ms", "steps of the language model")
    with tempfile.TemporaryDirectory() as folder:
        weights = build_cosyvoice(Path(folder) / "weights")
        for mode in ("zero_shot", "cross_lingual"):
            model = opened(weights, Path(folder) / mode, mode=mode, text_in="stream")
            for row in measured(model):
                table.add_row(mode, *row)
    Console(width=110).print(table)


def measured(model: Any) -> Iterator[tuple[str, str, str, str]]:
    llm = model._opened.loaded.llm.llm
    steps = llm.forward_one_step = Steps(llm.forward_one_step)
    first_ms, counts = defaultdict(list), {}
    for turn in range(ROUNDS + 1):
        for name, (speak, pieces) in VARIANTS.items():
            steps.count = 0
            taken = speak(model, pieces()) * 1000
            counts[name] = steps.count
            if turn:
                first_ms[name].append(taken)
    for name, (_, pieces) in VARIANTS.items():
        spread = f"{median(first_ms[name]):.0f} ({min(first_ms[name]):.0f} to {max(first_ms[name]):.0f})"
        yield name, spread, f"{next(pieces())[0] * 1000:.0f}", str(counts[name])


if __name__ == "__main__":
    main()
