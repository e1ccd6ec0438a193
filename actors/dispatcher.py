"""Brings the requests of many sessions to one recognizer's thread, one at a time, and its answers back."""

import asyncio
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from actors.asr import Ready, Transcribed, Transcribing
from actors.listeners import Listeners
from actors.policies.listening import TranscriptionQueue, lacks_beginning, served
from actors.transcripts import failure, transcript
from protocol.audio import MIC_RATE
from protocol.hearing import AsrEvent, Transcribe
from protocol.ids import Millis, Samples, SessionId
from protocol.workers import Load

_REMEMBERED: Final = 50


class Dispatcher:
    """Decides at the last moment which request is next. On the loop."""

    def __init__(
        self,
        listeners: Listeners,
        *,
        transcribe: Callable[[Transcribing], None],
        publish: Callable[[SessionId, AsrEvent], None],
        clock: Callable[[], float],
    ) -> None:
        """`transcribe` hands a request to the thread, whose answer comes to `on_transcribed`."""
        self._listeners = listeners
        self._transcribe = transcribe
        self._publish = publish
        self._clock = clock
        self._queue = TranscriptionQueue()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._spent: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        """Milliseconds of computing, and of sound, of the latest transcriptions."""

    @property
    def depth(self) -> int:
        """How many requests wait or are under way."""
        return len(self._queue) + self._busy

    def measured(self) -> Load:
        """What a transcription costs: `p50_first_audio_ms` is the median time to a transcript."""
        computing = [ms for ms, _ in self._spent]
        return Load(
            rtf=round(sum(computing) / max(1.0, sum(sound for _, sound in self._spent)), 3),
            queue_depth=self.depth,
            p50_first_audio_ms=round(median(computing), 1) if computing else 0.0,
        )

    def warmed_up(self, ready: Ready) -> None:
        """The first measurement."""
        self._spent.append((ready.warm_up_ms, ready.warm_up_sound_ms))

    def ask(self, request: Transcribe) -> None:
        """Answer this request, as soon as its sound is there and the thread is free."""
        if request.session not in self._listeners:
            self._publish(request.session, failure(request, "no-audio", "not listening to this session: start first"))
            return
        overtaken = self._queue.add(request, self._now())
        if overtaken is not None:
            self._publish(request.session, failure(overtaken, "stale", "a newer request has taken its place"))
        self._serve_next()

    def forget(self, session: SessionId) -> None:
        """Its requests are answered no more."""
        self._queue.forget(session)

    def on_sound(self) -> None:
        """Sound has come: perhaps what a request waits for."""
        if self._queue and not self._busy:
            self._serve_next()

    def on_transcribed(self, done: Transcribed) -> None:
        """The thread is free again."""
        self._busy = False
        self._spent.append((done.compute_ms, (done.request.end - done.request.first) * 1000 / MIC_RATE))
        if done.request.session in self._listeners:
            self._publish(done.request.session, transcript(done))
        self._serve_next()

    def stop(self) -> None:
        """Look no more."""
        self._busy = True
        if self._timer is not None:
            self._timer.cancel()

    def _serve_next(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while not self._busy:
            request = self._queue.next(self._held, self._now())
            if request is None:
                self._look_again()
                return
            first, pcm = self._listeners.ring(request.session).read(request.first, request.end)
            if not pcm:
                self._publish(request.session, failure(request, "no-audio", "nothing of this range is held"))
            elif lacks_beginning(request, first):
                reason = f"of this range only what follows sample {first} is held"
                self._publish(request.session, failure(request, "no-audio", reason))
            else:
                self._busy = True
                self._transcribe(Transcribing(served(request, first, pcm), pcm))

    def _look_again(self) -> None:
        deadline = self._queue.deadline()
        if deadline is not None:
            wait_s = max(1, deadline - self._now()) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._serve_next)

    def _held(self, session: SessionId) -> Samples:
        return self._listeners.ring(session).end

    def _now(self) -> Millis:
        return Millis(int(self._clock() * 1000))
