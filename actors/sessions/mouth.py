"""What a session says: replies and texts, prepared, spoken, gone on with, cut and remembered. On the loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actors.history import History
from actors.policies.phrasing import Phrasing
from actors.policies.playout import PlayoutGate
from actors.policies.turn_taking.events import (
    Event,
    LastFrameLeft,
    ListenerAway,
    ReplyFailed,
    TextHandedOver,
    VoiceFailed,
)
from actors.reply import start_reply
from actors.sessions.latencies import Latencies
from actors.sessions.ports import Clock
from actors.sessions.reach import Reach
from actors.sessions.settlement import Settlement
from actors.sessions.speech import MAX_CHARACTERS, MAX_UNSPOKEN, Speech
from actors.sessions.voice import Voice
from protocol.conversation import ClientPlayout, Flush, Reply
from protocol.errors import ReplyUnavailable
from protocol.ids import SessionId, TurnId
from protocol.message import Message
from protocol.ports import ChatMessage, ReplyGenerator
from protocol.speaking import PhrasePlaced, SpeakingFailed, SpeechBegan, SpeechFinished, TtsEvent

MAX_RECOVERIES: Final = 3
"""Times that one reply goes on at another worker before it is given up."""
_FORGETFUL: Final = frozenset({"voice-died", "no-voice", "position-not-kept", "text-lost", "turn-busy", "turn-unknown"})
"""What a worker says that does not know the turn (any more), though it or another one could speak it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTimes:
    """How long the language model may keep us waiting, in seconds."""

    first_text_s: float = 10.0
    next_text_s: float = 10.0


class Mouth:
    """At most one reply sounds and at most one is prepared; each is a `Speech` under its turn's number."""

    def __init__(
        self,
        *,
        session: SessionId,
        language: str,
        gate: PlayoutGate,
        voice: Voice,
        replies: ReplyGenerator,
        history: History,
        latencies: Latencies,
        clock: Clock,
        times: ReplyTimes,
        tell: Callable[[Message], None],
        feed: Callable[[Event], None],
    ) -> None:
        self.language = language
        self._session = session
        self._gate = gate
        self._voice = voice
        self._replies = replies
        self._history = history
        self._latencies = latencies
        self._clock = clock
        self._times = times
        self._tell = tell
        self._feed = feed
        self._speeches: dict[TurnId, Speech] = {}
        self._reach = Reach(gate, clock)
        self._settlement = Settlement(
            session=session,
            history=history,
            latencies=latencies,
            reach=self._reach,
            clock=clock,
            tell=tell,
            voice_name=lambda: voice.model,
        )

    # --- beginning --------------------------------------------------------------------------------------------------
    def ask(self, turn: TurnId) -> None:
        """Begin the reply to the history."""
        self._gate.expect(turn)
        self._ask(Speech(turn, origin="reply"), self._history.messages())

    def prepare(self, turn: TurnId, user_text: str) -> None:
        """Begin the reply to words that may not be all, unheard."""
        self._gate.expect(turn, held=True)
        self._ask(Speech(turn, origin="reply", adopted=False), self._history.messages(and_user=user_text))

    def adopt(self, turn: TurnId) -> None:
        """The prepared reply is the reply: tell of it what is there, and let it sound."""
        speech = self._speeches.get(turn)
        if speech is None:
            return
        self._gate.release(turn)
        speech.adopted = True
        for text, last in speech.pieces:
            self._tell(Reply(session=self._session, turn=turn, text=text, last=last))
        if speech.soundless:
            self._feed(LastFrameLeft(turn))

    def say(self, turn: TurnId, text: str, *, last: bool) -> None:
        """Begin a turn of this text."""
        self._gate.expect(turn)
        self._speeches[turn] = Speech(turn, origin="say")
        self.add(turn, text, last=last)

    def add(self, turn: TurnId, text: str, *, last: bool) -> None:
        """More of a text, spoken as soon as it is there."""
        speech = self._speeches.get(turn)
        if speech is not None:
            self._hand_over_all(speech, text, last=last)

    def end_text(self, turn: TurnId) -> None:
        """No more comes."""
        speech = self._speeches.get(turn)
        if speech is not None and not speech.complete:
            speech.cancel()
            self._hand_over(speech, "", last=True)

    def has_room(self, turn: TurnId, text: str) -> bool:
        """Whether the voice can take this much more of a turn."""
        speech = self._speeches.get(turn)
        if speech is None or speech.origin != "say":
            return True
        ahead = speech.unspoken_characters + len(text)
        return ahead <= MAX_UNSPOKEN and speech.characters + len(text) <= MAX_CHARACTERS

    def _ask(self, speech: Speech, history: list[ChatMessage]) -> None:
        self._speeches[speech.turn] = speech
        self._latencies.reply_asked(speech.turn, self._clock())

        def on_phrase(_index: int, text: str, last: bool) -> None:  # noqa: FBT001 - the shape that start_reply calls
            if last:
                speech.handle = None
            self._hand_over(speech, text, last=last)

        def on_failed(error: ReplyUnavailable) -> None:
            speech.handle = None
            self._feed(ReplyFailed(speech.turn, "reply-failed", str(error)))

        speech.handle = start_reply(
            self._replies,
            history,
            on_phrase=on_phrase,
            on_failed=on_failed,
            language=self.language,
            first_text_timeout_s=self._times.first_text_s,
            idle_timeout_s=self._times.next_text_s,
        )

    def _hand_over_all(self, speech: Speech, text: str, *, last: bool) -> None:
        phrasing = Phrasing(self.language)
        pieces = [*phrasing.feed(text), *phrasing.finish()]
        for place, piece in enumerate(pieces):
            self._hand_over(speech, piece, last=last and place == len(pieces) - 1)
        if last and not pieces:
            self._hand_over(speech, "", last=True)

    def _hand_over(self, speech: Speech, text: str, *, last: bool) -> None:
        chunk = speech.add(self._session, text, last=last)
        self._latencies.text_came(speech.turn, self._clock())
        self._voice.say(chunk)
        if speech.adopted:
            self._tell(Reply(session=self._session, turn=speech.turn, text=text, last=last))
        self._feed(TextHandedOver(speech.turn, last))

    # --- going on ---------------------------------------------------------------------------------------------------
    def nudge(self, turn: TurnId) -> None:
        """Nothing moves: nobody listens, something was lost on the way, or the worker is gone."""
        if turn != self._gate.turn:
            return
        if self._gate.queued and not self._gate.held:
            self._feed(ListenerAway(turn))
            return
        if not self._gate.held:
            self._voice.resume(turn, self._gate.wanted)
        self._voice.check()

    def go_on(self, turn: TurnId, anew: TurnId, *, held: bool) -> None:
        """Say what was not heard of a turn as another one, at the worker that has taken over.

        What the gate holds is still heard, unless the user has just made it fall silent.
        """
        speech = self._speeches.pop(turn, None)
        if speech is None:
            return
        plays_on = turn == self._gate.turn and self._gate.played > 0 and not (self._gate.held or held)
        split = self._settlement.cut(speech, through=self._gate.wanted if plays_on else None)
        self._voice.stop(turn)
        if plays_on:
            self._gate.succeed(anew)
        else:
            self._gate.flush(turn)
            self._gate.expect(anew, held=held)
        was_complete = speech.complete
        speech.begin_again(anew)
        speech.recoveries += 1
        self._speeches[anew] = speech
        if speech.recoveries > MAX_RECOVERIES:
            self._feed(VoiceFailed(anew, "voice-unsteady", "The voice was lost again and again."))
        elif split.unheard.strip():
            self._hand_over_all(speech, split.unheard, last=was_complete)
        elif was_complete:
            self._feed(LastFrameLeft(anew))

    # --- ending -----------------------------------------------------------------------------------------------------
    def stop(self, turn: TurnId) -> None:
        """Nothing of it sounds any more."""
        self._gate.flush(turn)
        self._voice.stop(turn)
        speech = self._speeches.get(turn)
        if speech is not None:
            speech.cancel()
            if speech.adopted:
                self._tell(Flush(session=self._session, turn=turn))

    def drop(self, turn: TurnId) -> None:
        """A prepared reply is not wanted; nobody has heard of it."""
        self.stop(turn)
        self._speeches.pop(turn, None)
        self._settlement.unheard_of(turn)

    def cut(self, turn: TurnId) -> None:
        """It ended where the listener stopped hearing it."""
        speech = self._speeches.pop(turn, None)
        if speech is not None:
            self._settlement.cut(speech)

    def commit(self, turn: TurnId) -> None:
        """It was heard to its end."""
        speech = self._speeches.pop(turn, None)
        if speech is not None:
            speech.cancel()
            self._settlement.whole(speech)

    def close(self) -> None:
        """Nothing more is said."""
        for speech in self._speeches.values():
            speech.cancel()
        self._speeches.clear()

    # --- what is heard of it ----------------------------------------------------------------------------------------
    def first_frame(self, turn: TurnId) -> None:
        """It begins to sound at the client's end."""
        speech = self._speeches.get(turn)
        if speech is not None:
            self._settlement.sounds(speech)

    def client_played(self, playout: ClientPlayout) -> None:
        """A client with a buffer of its own says how far its loudspeaker is."""
        self._reach.client_played(playout)

    def on_voice_event(self, event: TtsEvent) -> None:
        """The worker says how the turn stands; what belongs to no turn of ours is ignored."""
        match event:
            case PhrasePlaced(turn=turn) if turn in self._speeches:
                self._speeches[turn].place(event)
            case SpeechBegan(turn=turn) if turn in self._speeches:
                self._latencies.sound_came(turn, self._clock())
            case SpeechFinished(turn=turn, samples=0) if turn in self._speeches:
                self._speeches[turn].soundless = True
                if self._speeches[turn].adopted:
                    self._feed(LastFrameLeft(turn))
            case SpeakingFailed(turn=turn) if turn in self._speeches or not turn:
                self._failed(event)
            case _:
                pass

    def _failed(self, event: SpeakingFailed) -> None:
        if event.code in _FORGETFUL or not event.turn:
            self._voice.recover()
        else:
            self._feed(VoiceFailed(event.turn, event.code, event.reason))
