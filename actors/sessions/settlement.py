"""What is remembered and told of a reply when it sounds, and when it is over."""

from collections.abc import Callable

from actors.history import History
from actors.policies.heard import HeardText
from actors.sessions.latencies import Latencies
from actors.sessions.ports import Clock
from actors.sessions.reach import Reach
from actors.sessions.speech import Speech
from protocol.conversation import Heard, TurnMeasured
from protocol.ids import Samples, SessionId, TurnId
from protocol.message import Message


class Settlement:
    """Writes the history and tells `Heard` and `TurnMeasured`."""

    def __init__(
        self,
        *,
        session: SessionId,
        history: History,
        latencies: Latencies,
        reach: Reach,
        clock: Clock,
        tell: Callable[[Message], None],
        voice_name: Callable[[], str],
    ) -> None:
        self._session = session
        self._history = history
        self._latencies = latencies
        self._reach = reach
        self._clock = clock
        self._tell = tell
        self._voice_name = voice_name

    def sounds(self, speech: Speech) -> None:
        """Its first frame leaves for the client."""
        now, answers_user = self._clock(), speech.origin == "reply" and not speech.recoveries
        self._tell_measured(speech.turn, self._latencies.first_frame(speech.turn, now, answers_user=answers_user))

    def whole(self, speech: Speech) -> None:
        """It was heard to its end."""
        self._tell_heard(speech, HeardText(heard=speech.text, unheard="", exact=True), interrupted=False)
        self._latencies.settled(speech.turn)

    def cut(self, speech: Speech, *, through: Samples | None = None) -> HeardText:
        """It ends where the listener has stopped hearing it, or with this sample, which is surely going to be heard."""
        split = speech.heard(self._reach.played(speech.turn) if through is None else through)
        self._tell_heard(speech, split, interrupted=True)
        measured = self._latencies.settled(speech.turn)
        if "speech_started_to_hold" in measured:
            self._tell_measured(speech.turn, measured)
        return split

    def unheard_of(self, turn: TurnId) -> None:
        """It was prepared in vain."""
        self._latencies.settled(turn)

    def _tell_heard(self, speech: Speech, split: HeardText, *, interrupted: bool) -> None:
        self._history.add_assistant(split.heard)
        self._tell(
            Heard(
                session=self._session,
                turn=speech.turn,
                heard=split.heard,
                unheard=split.unheard,
                interrupted=interrupted,
                exact=split.exact,
            )
        )

    def _tell_measured(self, turn: TurnId, latencies: dict[str, float]) -> None:
        if latencies:
            rounded = {name: round(ms, 3) for name, ms in latencies.items()}
            self._tell(TurnMeasured(session=self._session, turn=turn, latencies_ms=rounded, voice=self._voice_name()))
