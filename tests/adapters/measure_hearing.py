"""What hearing costs, and what a shorter window does to the words: `uv run python -m tests.adapters.measure_hearing`.

Prints the tables of docs/hearing.md. Variants are interleaved, so that a busy machine is busy for all of them.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Final
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from actors.policies.voice_activity import WINDOW
from adapters.asr import whisper
from adapters.asr.whisper import WhisperRecognizer
from adapters.vad.silero import SileroModel
from tests.adapters.test_whisper import SENTENCES
from tests.speech import joined, room_noise, silence, spoken

ROUNDS: Final = 7
WINDOWS_S: Final = (5, 6, 8, 10, 30)
BATCHES: Final = (1, 2, 4, 8, 16)


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z ]", "", text.lower()).split()


def errors(wanted: list[str], found: list[str]) -> int:
    """Words inserted, lost or replaced (Levenshtein)."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, start=1):
        costs = [i]
        for (diagonal, above), other in zip(pairwise(row), found, strict=True):
            costs.append(min(above + 1, costs[-1] + 1, diagonal + (word != other)))
        row = costs
    return row[-1]


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def measure_detector(console: Console) -> None:
    model, sound = SileroModel(), room_noise(60.0, level=0.01)
    streams = [model.open_stream() for _ in range(max(BATCHES))]
    windows = [sound[i : i + WINDOW] for i in range(0, len(sound) - WINDOW, WINDOW)]
    took: dict[int, list[float]] = defaultdict(list)
    for number in range(100):
        for batch in BATCHES:
            some = [windows[(number * 16 + i) % len(windows)] for i in range(batch)]
            took[batch].append(timed(partial(model.probabilities, streams[:batch], some)))
    table = Table("sessions in one inference", "µs", "µs a window", title="Silero, medians of 100")
    for batch in BATCHES:
        us = median(took[batch]) * 1000
        table.add_row(str(batch), f"{us:.0f}", f"{us / batch:.0f}")
    console.print(table)


def measure_recognizer(console: Console) -> None:
    clips = [(text, joined(silence(0.15), spoken(text), silence(0.25))) for text in SENTENCES]
    recognizer = WhisperRecognizer()
    took: dict[int, list[float]] = defaultdict(list)
    wrong: dict[int, int] = defaultdict(int)
    for text, clip in clips:
        for window_s in WINDOWS_S:
            with patch.object(whisper, "_SHORTEST_S", window_s):
                transcribe = partial(recognizer.transcribe, clip, language="en", final=True)
                wrong[window_s] += errors(words(text), words(transcribe().text))
                took[window_s].append(timed(transcribe))
    of = sum(len(words(text)) for text, _ in clips)
    table = Table("window", "median ms", "word errors", title=f"tiny.en, {len(clips)} clips, {of} words")
    for window_s in WINDOWS_S:
        table.add_row(f"{window_s} s", f"{median(took[window_s]):.0f}", str(wrong[window_s]))
    console.print(table)


def measure_lengths(console: Console) -> None:
    speech = joined(spoken(SENTENCES[8]), silence(0.2), spoken(SENTENCES[9]), silence(1.0))
    clips = {s: speech[: s * 16_000] for s in (1, 2, 5)}
    made = {
        (threads, kind): WhisperRecognizer(threads=threads, beam=5 if kind == "beam 5" else 1, words=kind == "words")
        for threads in (1, 2)
        for kind in ("beam 1", "beam 5", "words")
    }
    took: dict[tuple[int, int, str], list[float]] = defaultdict(list)
    for _ in range(ROUNDS + 1):
        for seconds, clip in clips.items():
            for (threads, kind), recognizer in made.items():
                ms = timed(partial(recognizer.transcribe, clip, language="en", final=True))
                took[seconds, threads, kind].append(ms)
    table = Table("clip", "threads", "beam 1", "beam 5", "with words", title=f"tiny.en, ms, medians of {ROUNDS}")
    for seconds in clips:
        for threads in (1, 2):
            cells = [f"{median(took[seconds, threads, kind][1:]):.0f}" for kind in ("beam 1", "beam 5", "words")]
            table.add_row(f"{seconds} s", str(threads), *cells)
    console.print(table)


if __name__ == "__main__":
    out = Console()
    measure_detector(out)
    measure_recognizer(out)
    measure_lengths(out)
