"""A TtsActor whose thread is the test: it takes one message at a time, and what it says is noted."""

import asyncio
from typing import Any

from actors.mailbox import Mailbox
from actors.tts import TtsActor
from actors.tts_messages import Key, Say, Warm
from actors.tts_rendition import Made
from protocol.ports import MemoryMeter, Pcm
from protocol.speaking import ReferenceId
from tests.fakes.voices import FakeSynthesizer


class Notes:
    """What the actor said, in order."""

    def __init__(self) -> None:
        self.made: list[tuple[Key, Made]] = []
        self.failed: list[tuple[Key, str]] = []
        self.loaded: list[int] = []
        self.load_failures: list[Exception] = []
        self.deaths: list[str] = []
        self.ends = 0

    def on_loaded(self, warm: Warm) -> None:
        self.loaded.append(warm.sample_rate)

    def on_load_failed(self, error: Exception) -> None:
        self.load_failures.append(error)

    def on_made(self, key: Key, made: Made, compute_s: float) -> None:
        assert compute_s >= 0.0
        self.made.append((key, made))

    def on_failed(self, key: Key, reason: str) -> None:
        self.failed.append((key, reason))

    def on_imitated(self, name: ReferenceId, fault: str) -> None:
        raise AssertionError(f"nobody asked to imitate {name}: {fault}")

    def on_ended(self) -> None:
        self.ends += 1

    def on_died(self, reason: str) -> None:
        self.deaths.append(reason)

    @property
    def order(self) -> str:
        """For whom a chunk was made, one letter each."""
        return "".join(key[0] for key, made in self.made if made.frames)


class DirectMailbox(Mailbox):
    """Delivers at once, on the caller's thread."""

    def __init__(self) -> None:
        super().__init__(asyncio.new_event_loop())
        self._loop.close()

    def post(self, call: Any, *args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)


class WholeFrames:
    """A shaper that passes each chunk on as one frame."""

    def begin_phrase(self) -> None:
        return

    def shape(self, pcm: Pcm) -> list[bytes]:
        return [pcm.tobytes()]

    def finish(self) -> list[bytes]:
        return [b"last"]


def an_actor(
    voice: FakeSynthesizer | None = None,
    *,
    ahead_s: float = 60.0,
    notes: Notes | None = None,
    meter: MemoryMeter | None = None,
) -> tuple[TtsActor, Notes]:
    """Loaded, and not running: the test is its thread."""
    notes = notes or Notes()
    voice = voice or FakeSynthesizer()
    actor = TtsActor(
        load=lambda: voice,
        calibrate=lambda _: WholeFrames,
        mailbox=DirectMailbox(),
        listener=notes,
        ahead_s=ahead_s,
        meter=meter,
    )
    actor.on_start()
    return actor, notes


def say(key: Key, text: str, *, last: bool = True, index: int = 0) -> Say:
    return Say(key, index, text, "en", 1.0, last)


def step(actor: TtsActor) -> bool:
    """Let it take one message; False when there is none."""
    if actor.actor_inbox.empty():
        return False
    actor.on_receive(actor.actor_inbox.get().message)
    return True


def drain(actor: TtsActor) -> None:
    while step(actor):
        pass
