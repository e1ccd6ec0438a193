"""One client's side of a session: its microphone, its playout gate, its commands and events. On the loop."""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from actors import metrics
from actors.microphone import Microphone
from actors.peer_ports import Clock, Ears, MakeSession, PeerLimits, VadOptions
from actors.playout_reports import PlayoutReports
from actors.policies.playout import PlayoutGate, Pulled
from actors.policies.rates import TokenBucket
from actors.policies.supply import Supply
from actors.references import WhenNamed
from actors.sound_reports import SoundReports
from protocol.audio import Flags, Frame
from protocol.codec import type_of
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CloseSession,
    CommandRefused,
    Configure,
    Flush,
    Heard,
    Hold,
    Interrupt,
    Release,
    Say,
    SessionClosed,
    SessionConfig,
    SessionError,
    TurnMeasured,
)
from protocol.hearing import SpeechLikely, SpeechStarted, VadEvent
from protocol.ids import Millis, Samples, SessionId, TurnId, WorkerName
from protocol.message import Message
from protocol.ports import Bus, ClientLink, Subscription
from protocol.subjects import Subject, gate, parse, session_event, tts_frames, vad

_STOP_MARGIN_MS: Final = 100
"""Silence beyond what the detector asks for, since it looks at windows of 32 ms."""

_STALLED_S: Final = 0.5
"""A client that sends nothing for so long in mid-speech has muted its microphone: a network's stall is shorter."""

OnPeer = Callable[["Peer", str], None]


@lru_cache(maxsize=4_096)
def _sender(subject: Subject) -> WorkerName | None:
    """The worker that a frame's subject names; 50 frames a second of each session come on the same one."""
    return parse(subject).worker


class Peer:
    """A session's meeting point. Implements `protocol.ports.Conversation`; outlives the client's connections.

    The interruption path runs through here by direct calls: `hear` → detector → `_on_vad` → session → gate → `pull`.
    """

    def __init__(
        self,
        *,
        session: SessionId,
        config: SessionConfig,
        link: ClientLink,
        bus: Bus,
        ears: Ears,
        make_session: MakeSession,
        on_detached: Callable[["Peer"], None],
        on_over: OnPeer,
        on_reference: WhenNamed | None = None,
        limits: PeerLimits | None = None,
        vad_options: VadOptions | None = None,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        self._session = session
        self._link: ClientLink | None = link
        self._bus = bus
        self._ears = ears
        self._on_detached = on_detached
        self._on_over = on_over
        self._on_reference = on_reference
        self._clock = clock
        self._vad = vad_options or VadOptions()
        self._limits = limits or PeerLimits()
        self._commands = TokenBucket(rate=self._limits.commands_per_s, burst=self._limits.command_burst)
        self.gate = PlayoutGate()
        self._sound = SoundReports(session, self.gate, bus, clock)
        self._reports = PlayoutReports(session, self.gate, bus, self._sound)
        self._supply = Supply()
        self._microphone = Microphone(
            session=session,
            bus=bus,
            ears=ears,
            lead_frames=self._limits.mic_lead_frames,
            clock=clock,
            wall_clock=wall_clock,
        )
        self._session_actor = make_session(
            session=session, config=config, gate=self.gate, sound=self._microphone.feed, emit=self.emit
        )
        self._noticed_at: float | None = None
        self._speech_under_way = False
        self._waits_until: float | None = None
        self._client_heard: tuple[TurnId, Samples] | None = None
        self._begun = self._ended = TurnId(0)
        self._frames: Subscription | None = None
        self._over = False
        self._said_closed = False

    @property
    def session(self) -> SessionId:
        """Its id."""
        return self._session

    @property
    def attached(self) -> bool:
        """Whether a client is connected."""
        return self._link is not None

    async def start(self) -> None:
        """Begin to listen and to expect speech.

        Raises:
            Refused: by the session, when no worker can serve it.
        """
        self._frames = await self._bus.subscribe_frames(tts_frames(self._session), self._on_frame)
        self._ears.open(
            self._session,
            on_event=self._on_vad,
            on_failed=self._on_deaf,
            threshold=self._vad.threshold,
            start_windows=self._vad.start_windows,
            stop_ms=self._vad.stop_ms,
        )
        await self._session_actor.start()

    # --- the microphone ----------------------------------------------------------------------------------------------
    def hear(self, pcm: bytes) -> None:
        """The next 20 ms of the microphone; dropped and counted when it comes faster than time.

        Raises:
            MalformedMessage: for another length than 640 bytes.
        """
        if not self._over:
            self._sound.heard(taken=self._microphone.hear(pcm))

    def _on_vad(self, event: VadEvent) -> None:
        if isinstance(event, SpeechLikely | SpeechStarted) and self._noticed_at is None:
            self._noticed_at = self._clock()
        self._speech_under_way = isinstance(event, SpeechLikely | SpeechStarted)
        if isinstance(event, SpeechStarted) and self._ended == self.gate.turn:
            self.gate.flush(self.gate.turn)  # the end of a reply that is played again to a client which came back
        self._session_actor.on_vad(event)
        if not self.gate.held:
            self._noticed_at = None
        self._bus.publish(vad(self._session), event)
        self._microphone.speech(under_way=self._speech_under_way)
        self._reports.changed()

    def _on_deaf(self, reason: str) -> None:
        self.emit(SessionError(session=self._session, code="voice-activity-failed", message=reason[:1000]))

    # --- the loudspeaker ---------------------------------------------------------------------------------------------
    def _on_frame(self, subject: Subject, frame: Frame) -> None:
        if not self._is_ours(subject):
            self._reports.dropped("worker")
        elif self.gate.offer(frame):
            now = self._clock()
            self._supply.arrived(frame.turn, now)
            self._reports.arrived(frame, now)
        else:
            self._reports.dropped("gate")

    def _is_ours(self, subject: Subject) -> bool:
        """Whether this comes from the worker that speaks for us now: one that hung and wakes has been replaced."""
        speaker = self._session_actor.speaker
        return speaker is None or _sender(subject) == speaker

    def pull(self) -> Frame | None:
        """The frame to send now, or None for silence. To be called once for each 20 ms that the client plays."""
        if self._speech_under_way and self._microphone.quiet_for_s > _STALLED_S:
            self._end_utterance()
        if self._over or self._waits():
            return None
        pulled = self.gate.pull()
        if self._supply.has_dried_up(self.gate, self._clock()):
            self._session_actor.on_stalled(self.gate.turn)
        if pulled is None:
            if self._reports.silent():
                self._session_actor.on_playout()
            return None
        if Flags.COMFORT in pulled.frame.flags:
            self._note_hold()
        else:
            self._note_played(pulled)
        return pulled.frame

    def _waits(self) -> bool:
        if self._waits_until is not None and self._clock() >= self._waits_until:
            self._go_on()
        return self._waits_until is not None

    def _note_played(self, pulled: Pulled) -> None:
        turn = pulled.frame.turn
        metrics.FRAMES_OUT.inc()
        reported = self._reports.played(pulled)
        if pulled.first and turn > self._begun:
            self._begun = turn
            self._session_actor.on_first_frame(turn)
        if pulled.last and turn > self._ended:
            self._ended = turn
            self._session_actor.on_last_frame(turn)
        if reported:
            self._session_actor.on_playout()

    def _note_hold(self) -> None:
        if not self.gate.held:
            return
        metrics.HOLDS.inc()
        if self._noticed_at is not None:
            metrics.HOLD_LATENCY.observe(self._clock() - self._noticed_at)
            self._noticed_at = None

    # --- commands and events -----------------------------------------------------------------------------------------
    def command(self, message: Message) -> Message:
        """Do what the client asks: returns `Accepted` or `CommandRefused`."""
        answer = self._command(message)
        outcome = "refused" if isinstance(answer, CommandRefused) else "accepted"
        metrics.COMMANDS.labels(type_of(message), outcome).inc()
        return answer

    def _command(self, message: Message) -> Message:
        if self._over:
            return self._refuse("closed", "This session has ended; open a new one.")
        if not self._commands.take(self._clock()):
            return self._refuse("too-many-commands", "Commands come faster than they are taken; wait a moment.")
        match message:
            case ClientPlayout():
                self._correct(message)
                return self._session_actor.command(message)
            case Say() | Interrupt() | Configure():
                answer = self._session_actor.command(message)
                self._reports.changed()
                if isinstance(message, Configure) and isinstance(answer, Accepted):
                    self._note_reference(message.config.reference)
                return answer
            case CloseSession():
                self._on_over(self, "closed by the client")
                return Accepted(session=self._session)
            case _:
                return self._refuse("unexpected", f"A message of type {type_of(message)} has no place here.")

    def _note_reference(self, name: str | None) -> None:
        """The session names a recording from now on."""
        if name and self._on_reference is not None:
            self._on_reference(self._session, name)

    def _refuse(self, code: str, reason: str) -> CommandRefused:
        return CommandRefused(code=code, reason=reason, session=self._session)

    def _correct(self, message: ClientPlayout) -> None:
        self._client_heard = (message.turn, message.played)
        if self._waits_until is not None:
            self._go_on()

    def _go_on(self) -> None:
        """After a client came back: from what it is last known to have heard."""
        self._waits_until = None
        if self._client_heard is None or not self.gate.rewind(*self._client_heard):
            self.gate.rewind(self.gate.turn, self.gate.played)
        self._reports.report()

    def emit(self, message: Message) -> None:
        """An event or gate command of the session: to observers and to the client."""
        is_gate = isinstance(message, Hold | Release | Flush)
        self._bus.publish(gate(self._session) if is_gate else session_event(self._session), message)
        if self._link is not None:
            self._link.tell(message)
        self._reports.changed()
        match message:
            case Heard(interrupted=True):
                metrics.BARGE_INS.inc()
            case TurnMeasured(latencies_ms=latencies):
                for name, milliseconds in latencies.items():
                    metrics.TURN_LATENCY.labels(name).observe(milliseconds / 1000)
            case SessionClosed(reason=reason):
                self._said_closed = True
                self._on_over(self, reason)
            case _:
                pass

    # --- connections -------------------------------------------------------------------------------------------------
    def attach(self, link: ClientLink) -> None:
        """A client comes back: nothing is played until it has said what it had heard, or has had its time to."""
        previous, self._link = self._link, link
        if previous is not None:
            previous.disconnect("another connection has taken over this session")
        self._waits_until = self._clock() + self._limits.position_wait_s

    def detach(self, link: ClientLink) -> None:
        """The connection is lost. What is queued waits; an utterance that was under way ends here."""
        if link is not self._link or self._over:
            return
        self._link = None
        self._end_utterance()
        self._on_detached(self)

    def _end_utterance(self) -> None:
        """Nothing more comes from the microphone: let the detector hear that."""
        self._speech_under_way = False
        self._microphone.fall_silent(Millis(self._vad.stop_ms + _STOP_MARGIN_MS))

    async def close(self, reason: str, *, tell_client: bool = True) -> None:
        """End the session, whatever it is doing. Harmless when repeated."""
        if self._over:
            return
        self._over = True
        if not tell_client:
            self._link = None
        self._ears.close(self._session)
        self._microphone.close()
        if self._frames is not None:
            self._frames.cancel()
        try:
            await self._session_actor.close(reason)
        finally:
            if not self._said_closed:
                self.emit(SessionClosed(session=self._session, reason=reason))
            self.gate.close()
            link, self._link = self._link, None
            if link is not None:
                link.disconnect(reason)
