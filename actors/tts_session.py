"""One session at a TTS worker: which voice it holds, and which of its turns is spoken. On the loop."""

from typing import Final, assert_never

import structlog

from actors.tts_messages import Leave
from actors.tts_rendition import Made
from actors.tts_sound import SpeechReports
from actors.tts_turn import SpokenTurn, Surroundings
from actors.voices import Lease
from protocol.conversation import Playout
from protocol.ids import ModelId, SessionId, TurnId
from protocol.speaking import Pause, ReferenceId, Resume, SpeakingFailed, Stop, TextChunk
from protocol.subjects import tts_event

log = structlog.get_logger()

MAX_UNSPOKEN: Final = 16_000
"""Characters of a turn that wait to be spoken: some 20 minutes."""


class SpeakingSession:
    """At most one turn at a time; a finished one is kept until the next begins, for what was lost of it.

    It keeps the model of its voice in memory, and the one of an unfinished turn in another voice.
    """

    def __init__(self, session: SessionId, around: Surroundings) -> None:
        self._session = session
        self._around = around
        self._events_to = tts_event(session, around.worker)
        self._sound = SpeechReports(session, around.worker, around.bus)
        self._lease: Lease | None = None
        self._lease_of_turn: Lease | None = None
        self._language = "en"
        self._speed = 1.0
        self._imitates: ReferenceId | None = None
        self._turn: SpokenTurn | None = None
        self._over = TurnId(0)
        self.seen_at = around.clock()
        """When it last gave a sign of life."""

    @property
    def is_speaking(self) -> bool:
        """Whether a turn is unfinished."""
        return self._turn is not None and not self._turn.finished

    @property
    def unspoken_pieces(self) -> int:
        """Pieces of text that are not synthesised yet."""
        return self._turn.unspoken_pieces if self._turn is not None else 0

    def use(self, lease: Lease, *, language: str, speed: float, imitates: ReferenceId | None = None) -> None:
        """From the next turn on."""
        self.seen_at = self._around.clock()
        former, self._lease = self._lease, lease
        if former is not None and former is not self._lease_of_turn:
            self._release(former)
        self._language, self._speed, self._imitates = language, speed, imitates
        self._let_go()

    # --- commands ---------------------------------------------------------------------------------------------------
    def on_command(self, command: TextChunk | Pause | Resume | Stop) -> None:
        """Done when this returns."""
        match command:
            case Pause():
                self.on_pause(command)
            case TextChunk():
                self.on_text(command)
            case Resume():
                self.on_resume(command)
            case Stop():
                self.on_stop(command)
            case _:
                assert_never(command)

    def on_text(self, chunk: TextChunk) -> None:
        """The next piece of a turn."""
        self.seen_at = self._around.clock()
        turn = self._turn_for(chunk.turn)
        if turn is None or chunk.index < turn.next_index:
            return  # of a turn that is over, or sent twice
        if chunk.index > turn.next_index:
            self._fail(turn.id, "text-lost", f"piece {turn.next_index} of the turn did not arrive")
        elif turn.unspoken_characters + len(chunk.text) > MAX_UNSPOKEN:
            self._fail(turn.id, "too-much-text", f"more than {MAX_UNSPOKEN} characters wait to be spoken")
        else:
            turn.add(chunk, language=self._language, speed=self._speed, imitates=self._imitates)

    def on_pause(self, pause: Pause) -> None:
        """No frame leaves after this returns."""
        if turn := self._current(pause.turn):
            turn.pause()

    def on_resume(self, resume: Resume) -> None:
        """Go on exactly where the gateway holds nothing more. It would wait long for a turn that is not known here."""
        turn = self._current(resume.turn)
        if turn is None:
            self._tell_failed(resume.turn, "turn-unknown", "no text of this turn is here: send it again")
        elif not turn.resume(resume.from_sample):
            self._fail(turn.id, "position-not-kept", f"sample {resume.from_sample} cannot be sent (again)")

    def on_stop(self, stop: Stop) -> None:
        """Drop the turn and everything before it."""
        self.seen_at = self._around.clock()
        self._over = max(self._over, stop.turn)
        if self._turn is not None and self._turn.id <= stop.turn:
            self._drop(heard=self._turn.finished and self._turn.id < stop.turn)

    def on_playout(self, playout: Playout) -> None:
        """How far the gateway is."""
        if turn := self._current(playout.turn):
            turn.on_playout(playout)
            self._let_go()

    def end(self) -> None:
        """Forget everything."""
        self._drop()
        if self._lease is not None:
            lease = self._lease
            self._lease = self._lease_of_turn = None
            self._release(lease)

    # --- from the model ---------------------------------------------------------------------------------------------
    def on_made(self, turn_id: TurnId, made: Made) -> None:
        """The next chunk of a turn."""
        if self._turn is not None and self._turn.id == turn_id:
            self._turn.on_made(made)

    def on_failed(self, turn_id: TurnId, reason: str) -> None:
        """The model cannot speak the turn on."""
        if self._turn is not None and self._turn.id == turn_id:
            self._fail(turn_id, "synthesis-failed", reason)

    def on_voice_died(self, model: ModelId, reason: str) -> None:
        """A model is gone, and with it an unfinished turn in its voice."""
        held = self._lease is not None and self._lease.voice.model == model
        if held and self._lease is not None:
            self._lease.release()
            self._lease = None
        turn = self._turn
        if turn is not None and not turn.finished and turn.model == model:
            self._fail(turn.id, "voice-died", reason)
        elif held:
            self._refuse(TurnId(0), "voice-died", reason)

    def expire(self, now: float, *, paused_s: float) -> None:
        """Drop a turn that was paused so long that nobody waits for the rest; say what was not said of the others."""
        self._let_go()
        self._sound.look(now)
        turn = self._turn
        if turn is not None and turn.paused_at is not None and now - turn.paused_at > paused_s:
            self._fail(turn.id, "paused-too-long", f"paused for more than {paused_s:.0f} s")

    # --- inside -----------------------------------------------------------------------------------------------------
    def _turn_for(self, turn_id: TurnId) -> SpokenTurn | None:
        """The turn, opened if it is new; None when it is over, or cannot be opened (which is told)."""
        turn = self._turn
        if turn is not None and turn.id == turn_id:
            return turn
        if turn_id <= self._over or (turn is not None and turn_id < turn.id):
            return None
        if turn is not None and not turn.finished:
            self._refuse(turn_id, "turn-busy", f"turn {turn.id} is neither finished nor stopped")
            return None
        if self._lease is None:
            self._refuse(turn_id, "no-voice", "the session holds no voice here: start it first")
            return None
        self._drop(heard=True)
        self._lease_of_turn = self._lease
        self._turn = SpokenTurn(self._session, turn_id, self._lease.voice, self._around, self._sound)
        return self._turn

    def _current(self, turn_id: TurnId) -> SpokenTurn | None:
        self.seen_at = self._around.clock()
        return self._turn if self._turn is not None and self._turn.id == turn_id else None

    def _drop(self, *, heard: bool = False) -> None:
        """`heard`: the turn was heard to its end, for all that is known here."""
        if self._turn is not None:
            self._turn.drop(heard=heard)
            self._turn = None
        self._let_go()

    def _let_go(self) -> None:
        """Of a former voice, once its last turn is over."""
        lease = self._lease_of_turn
        if lease is not None and lease is not self._lease and not self.is_speaking:
            self._lease_of_turn = None
            self._release(lease)

    def _release(self, lease: Lease) -> None:
        """The voice that is held no more forgets what it has said here."""
        held = (self._lease, self._lease_of_turn)
        if all(other is None or other.voice is not lease.voice for other in held):
            lease.voice.tell(Leave(self._session))
        lease.release()

    def _fail(self, turn_id: TurnId, code: str, reason: str) -> None:
        """The current turn is over, and the session hears why."""
        self._drop()
        self._refuse(turn_id, code, reason)

    def _refuse(self, turn_id: TurnId, code: str, reason: str) -> None:
        """Nothing of this turn is spoken (any more), and the session hears why, once."""
        self._over = max(self._over, turn_id)
        self._tell_failed(turn_id, code, reason)

    def _tell_failed(self, turn_id: TurnId, code: str, reason: str) -> None:
        log.warning("a turn is not spoken", session=self._session, turn=turn_id, code=code)
        failed = SpeakingFailed(session=self._session, turn=turn_id, code=code, reason=reason[:1000])
        self._around.bus.publish(self._events_to, failed)
