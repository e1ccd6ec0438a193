"""Failover: a TTS worker is killed (`kill -9`) or hung (SIGSTOP) in mid-sentence; another one has the same voice.

What a WebSocket client gets: how long it gets nothing, when the new voice begins, and which words are lost or repeated
by the session's own account and to the ear of a recognizer.
"""

import asyncio
import difflib
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nats.aio.msg import Msg

from protocol.audio import FRAME_MS
from protocol.conversation import Heard
from protocol.ids import WorkerName
from protocol.subjects import parse, tts_frames
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.bench.tap import Tap
from tests.clients.websocket import Received, WebSocketClient, samples_of
from tests.e2e.beside import Beside
from tests.e2e.ears import words_heard, words_of
from tests.e2e.system import System
from tests.e2e.voices import Voices

RUNS = 5
STARTS_ITSELF = True
TEXT: Final = (
    "The harbour lies quiet in the morning, and the boats come back one after another with what the night has given. "
    "People stand on the pier and wait, some with baskets, some with nothing but their hands in their pockets."
)
_FRAMES_BEFORE: Final = 60
_PHASE_FRAMES: Final = 13
"""The faults come at other places of the sentence."""
_SPARE: Final = WorkerName("tts-hibari-spare")
_BACK_S: Final = 20.0

FAULTS: Final[dict[str, Callable[[Voices, WorkerName], float]]] = {"kill": Voices.kill, "hang": Voices.hang}


async def measure(_target: Target | None, options: Options, findings: Findings) -> None:
    """One fault after the other, in a session of its own each."""
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        tap = await Tap.connect(system.nats_url)
        try:
            undisturbed = await _undisturbed(system.url)
            for name in FAULTS:
                for run in range(options.runs or RUNS):
                    spare = await asyncio.to_thread(Beside.tts(system.nats_url, "hibari", name=_SPARE).wait_until_ready)
                    with spare:
                        await _Fault(name, Voices(system, spare), system.url, tap, undisturbed).strike(run, findings)
        finally:
            await tap.close()


@dataclass(frozen=True, slots=True)
class _Fault:
    """Of one kind; what becomes of a session."""

    name: str
    voices: Voices
    url: str
    tap: Tap
    undisturbed: list[str]
    """What a recognizer hears of the text when nothing happens."""

    async def strike(self, run: int, findings: Findings) -> None:
        """In the middle of a text, then wait until there are two workers again."""
        async with await WebSocketClient.open(self.url) as client:
            speakers: list[WorkerName] = []

            async def on_frame(msg: Msg) -> None:
                speakers.append(parse(msg.subject).worker or WorkerName(""))

            subscription = await self.tap.client.subscribe(tts_frames(client.session), cb=on_frame)
            await client.say(TEXT)
            await client.speech(turn=1, frames=_FRAMES_BEFORE + run * _PHASE_FRAMES)
            speaker = speakers[-1]
            at = FAULTS[self.name](self.voices, speaker)
            await client.whole_turn(2, timeout_s=60)
            await subscription.unsubscribe()
            await self._note(client, at, findings)
        if self.name == "hang":
            self.voices.wake(speaker)
        if speaker != _SPARE:
            await _back(self.tap, speaker)

    async def _note(self, client: WebSocketClient, at: float, findings: Findings) -> None:
        cut = await client.event(Heard, lambda m: m.turn == 1)
        rest = await client.event(Heard, lambda m: m.turn == 2)
        heard = [r for r in client.received if r.is_speech]
        findings.add(f"{self.name}_old_voice_sounds_on", (client.frames_of(1)[-1].at - at) * 1000)
        findings.add(f"{self.name}_to_new_voice", (client.frames_of(2)[0].at - at) * 1000)
        findings.add(f"{self.name}_inserted_silence", inserted_silence_ms(heard, at))
        lost, repeated = difference(words_of(TEXT), words_of(f"{cut.heard} {rest.heard}"))
        findings.add(f"{self.name}_words_lost", lost, "words")
        findings.add(f"{self.name}_words_repeated", repeated, "words")
        lost, repeated = difference(self.undisturbed, await words_heard(samples_of(heard)))
        findings.add(f"{self.name}_words_missing_to_the_ear", lost, "words")
        findings.add(f"{self.name}_words_too_many_to_the_ear", repeated, "words")


async def _undisturbed(url: str) -> list[str]:
    async with await WebSocketClient.open(url) as client:
        await client.say(TEXT)
        return await words_heard(samples_of(await client.whole_turn(1)))


async def _back(tap: Tap, worker: WorkerName) -> None:
    """The next run wants two workers again."""
    async with asyncio.timeout(_BACK_S):
        subscription = await tap.client.subscribe(f"control.worker.{worker}.event.pulse")
        await subscription.next_msg(timeout=_BACK_S)
        await subscription.unsubscribe()


def inserted_silence_ms(heard: list[Received], since: float) -> float:
    """The longest time without a frame after that moment, beyond the 20 ms between any two."""
    times = [one.at for one in heard]
    gaps = [after - before for before, after in itertools.pairwise(times) if after >= since]
    return max(0.0, max(gaps) * 1000 - FRAME_MS)


def difference(expected: list[str], got: list[str]) -> tuple[int, int]:
    """How many words are missing, and how many are there that should not be."""
    lost = added = 0
    for kind, first, end, got_first, got_end in difflib.SequenceMatcher(
        None, expected, got, autojunk=False
    ).get_opcodes():
        if kind != "equal":
            lost += end - first
            added += got_end - got_first
    return lost, added
