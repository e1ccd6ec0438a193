"""One turn at a TTS worker, between its model and the gateway. On the loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import structlog

from actors.policies.pacing import Pacing
from actors.tts_frames import TurnFrames
from actors.tts_messages import Allow, Drop, Hold, Key, Release, Say
from actors.tts_pacer import Pacer
from actors.tts_rendition import Made, PhraseBegun, PhraseDone
from actors.tts_sound import SpeechReports
from actors.voices import LoadedVoice
from protocol.audio import SPEECH_RATE, Frame
from protocol.conversation import Playout
from protocol.ids import Millis, ModelId, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import Bus
from protocol.speaking import (
    PhrasePlaced,
    ReferenceId,
    SpeechBegan,
    SpeechFinished,
    SpeechPaused,
    SpeechResumed,
    TextChunk,
)
from protocol.subjects import tts_event, tts_frames

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all turns of a worker share.

    Attributes:
        clock: seconds, monotonic, the pacer's.
        wall: for frames' headers.
        lead_ms: how far ahead of playout frames may leave.
        ahead_s: how far ahead of what has left is synthesised.
        on_first_frame: hears how many ms after its first text a turn began to sound.
    """

    worker: WorkerName
    bus: Bus
    pacer: Pacer
    clock: Callable[[], float]
    wall: Callable[[], UnixMicros]
    lead_ms: Millis
    ahead_s: float
    on_first_frame: Callable[[float], None]


class SpokenTurn:
    """From pieces of text to frames on the grid, with a place that can be held and moved back."""

    def __init__(
        self, session: SessionId, turn: TurnId, voice: LoadedVoice, around: Surroundings, sound: SpeechReports
    ) -> None:
        self.id = turn
        self.key: Key = (session, turn)
        self._session = session
        self._voice = voice
        self._around = around
        self._sound = sound
        self._events_to = tts_event(session, around.worker)
        self._frames_to = tts_frames(session, around.worker)
        self._frames = TurnFrames(turn)
        self._pacing = Pacing(lead_ms=around.lead_ms)
        self._ahead = int(around.ahead_s * SPEECH_RATE)
        self._allowed = self._ahead
        self._text_at = around.clock()
        self._began = False
        self._unspoken: dict[int, int] = {}
        self.next_index = 0
        self.paused_at: float | None = None
        self.finished = False

    @property
    def model(self) -> ModelId:
        """Whose voice it is in."""
        return self._voice.model

    @property
    def unspoken_pieces(self) -> int:
        """Pieces of text that are not synthesised yet."""
        return len(self._unspoken)

    @property
    def unspoken_characters(self) -> int:
        """Their length."""
        return sum(self._unspoken.values())

    # --- commands ---------------------------------------------------------------------------------------------------
    def add(self, chunk: TextChunk, *, language: str, speed: float, imitates: ReferenceId | None = None) -> None:
        """The next piece of text."""
        self.next_index = chunk.index + 1
        if chunk.text:
            self._unspoken[chunk.index] = len(chunk.text)
        self._voice.tell(Say(self.key, chunk.index, chunk.text, language, speed, chunk.last, imitates))

    def pause(self) -> None:
        """No frame leaves after this returns."""
        if self.paused_at is None:
            self.paused_at = self._around.clock()
            self._around.pacer.rest(self)
            self._voice.tell(Hold(self.key))
        at = self._frames.next_sample
        self._tell(SpeechPaused(session=self._session, turn=self.id, next_sample=at))

    def resume(self, from_sample: Samples) -> bool:
        """Go on with the frame that holds this sample; False when that cannot be sent (again)."""
        if not self._frames.move_to(from_sample):
            return False
        if self.paused_at is not None:
            self.paused_at = None
            self._voice.tell(Release(self.key))
        self._pacing.go_back(self._frames.next_sample)
        self._tell(SpeechResumed(session=self._session, turn=self.id, from_sample=self._frames.next_sample))
        self._send_at_once()
        return True

    def drop(self, *, heard: bool = False) -> None:
        """Nothing of it is heard or made any more; `heard` says whether all of it was."""
        self._around.pacer.rest(self)
        self._voice.tell(Drop(self.key, heard))

    # --- what comes in ----------------------------------------------------------------------------------------------
    def on_playout(self, playout: Playout) -> None:
        """How far the gateway is."""
        now = self._around.clock()
        self._pacing.report(played=playout.played, queued=playout.queued, held=playout.held, now=now)
        if self.paused_at is not None:
            return
        lost = self._pacing.lost(now)
        if lost is not None and self._frames.move_to(lost):
            log.info("frames were lost on the way", session=self._session, turn=self.id, position=lost)
            self._pacing.go_back(lost)
            self._send_at_once()
        if self._frames.ready:
            self._around.pacer.wake(self)

    def on_made(self, made: Made) -> None:
        """The next chunk, from the model."""
        for event in made.events:
            self._place(event)
        now = self._around.clock()
        if made.frames and self._has_run_dry(now):
            self._sound.underrun(now, self.id)
        self._frames.add(made.frames)
        if made.finished:
            self._frames.close()
        if self.paused_at is None:
            self._send_at_once()

    def tick(self, now: float, points: int) -> bool:
        """Send what is due; see `Paced`."""
        self._send(now, self._pacing.at_tick(now, self._frames.ready, points))
        return self._frames.ready > 0

    # --- inside -----------------------------------------------------------------------------------------------------
    def _send_at_once(self) -> None:
        """What need not wait for the grid; the rest does."""
        now = self._around.clock()
        self._send(now, self._pacing.at_once(now, self._frames.ready))
        if self._frames.ready:
            self._around.pacer.wake(self)

    def _send(self, now: float, count: int) -> None:
        """Let frames leave. One that the bus does not take now stays the next one."""
        for _ in range(count):
            frame = self._frames.peek(self._around.wall())
            if not self._around.bus.publish_frame(self._frames_to, frame):
                return
            again = self._frames.advance()
            self._pacing.sent = frame.end
            self._sound.sent(now, self.id, ahead=self._pacing.ahead(now), again=again)
            self._after(frame)

    def _has_run_dry(self, now: float) -> bool:
        """Whether frames should have left, and there were none."""
        due = self._began and self.paused_at is None and not self._frames.ready
        return due and self._pacing.runs_low(now)

    def _after(self, frame: Frame) -> None:
        if not self._began:
            self._began = True
            waited_ms = (self._around.clock() - self._text_at) * 1000
            self._tell(SpeechBegan(session=self._session, turn=self.id, first_audio_ms=max(0.0, waited_ms)))
            self._around.on_first_frame(waited_ms)
        if self._frames.finished:
            if not self.finished:
                self._tell(SpeechFinished(session=self._session, turn=self.id, samples=frame.end))
            self.finished = True
        elif frame.end + self._ahead - self._allowed > self._ahead // 8:
            self._allowed = frame.end + self._ahead
            self._voice.tell(Allow(self.key, Samples(self._allowed)))

    def _place(self, event: PhraseBegun | PhraseDone) -> None:
        match event:
            case PhraseBegun(index, text, first):
                placed = PhrasePlaced(session=self._session, turn=self.id, index=index, text=text, first=first)
            case PhraseDone(index, text, first, end, words, exact):
                self._unspoken.pop(index, None)
                placed = PhrasePlaced(
                    session=self._session,
                    turn=self.id,
                    index=index,
                    text=text,
                    first=first,
                    end=end,
                    words=words,
                    exact=exact,
                )
            case _:
                assert_never(event)
        self._tell(placed)

    def _tell(self, message: Message) -> None:
        self._around.bus.publish(self._events_to, message)
