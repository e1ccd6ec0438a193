"""All sessions of one gateway process: who may open one, who may come back, when one ends. On the loop."""

import asyncio
import dataclasses
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Final

import structlog

from actors import metrics
from actors.peer import Peer
from actors.peer_ports import CallLater, Cancel, Choice, Clock, Ears, MakeSession, PeerLimits, VadOptions
from actors.references import References
from protocol.conversation import SessionConfig, SessionOpened
from protocol.errors import BusUnavailable, MalformedMessage, Refused
from protocol.ids import SessionId
from protocol.message import Message
from protocol.ports import Bus, ClientLink, Conversation, Readiness, Respond, Subscription
from protocol.subjects import ANY_SESSION, Subject, parse, session_command

_COMMANDS: Final = ("say", "interrupt", "configure", "close")
_CLOSE_S: Final = 3.0
"""A session that does not end within this is left behind."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Seat:
    """An open session, and what it takes to come back to it."""

    peer: Peer
    token: str
    config: SessionConfig
    call_off_expiry: Cancel | None = None


def call_later(delay_s: float, call: Cancel) -> Cancel:
    """The running loop's `call_later`."""
    return asyncio.get_running_loop().call_later(delay_s, call).cancel


class Gateway:
    """Opens, resumes and closes sessions. Implements `protocol.ports.ConversationHost`."""

    def __init__(
        self,
        *,
        bus: Bus,
        choice: Choice,
        ears: Ears,
        make_session: MakeSession,
        defaults: SessionConfig,
        max_sessions: int = 32,
        linger_s: float = 30.0,
        peer_limits: PeerLimits | None = None,
        vad_options: VadOptions | None = None,
        references: References | None = None,
        call_later: CallLater = call_later,
        clock: Clock = time.monotonic,
    ) -> None:
        """`defaults` has a value for each field that a client may leave open."""
        self._bus = bus
        self._choice = choice
        self._ears = ears
        self._make_session = make_session
        self._defaults = defaults
        self._max_sessions = max_sessions
        self._linger_s = linger_s
        self._peer_limits = peer_limits
        self._vad_options = vad_options
        self._references = references
        self._call_later = call_later
        self._clock = clock
        self._seats: dict[SessionId, _Seat] = {}
        self._opening = 0
        self._closing = False
        self._farewells: set[asyncio.Task[None]] = set()
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Take commands from the bus, too."""
        for name in _COMMANDS:
            subject = session_command(ANY_SESSION, name)
            self._subscriptions.append(await self._bus.subscribe(subject, self._on_command))

    async def open(self, config: SessionConfig, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        """A new session and the `SessionOpened` to send.

        Raises:
            Refused: too many sessions, no such voice, no worker.
        """
        try:
            self._admit()
            seat = await self._open(config, link)
        except Refused as refused:
            metrics.SESSIONS_REFUSED.labels(refused.code).inc()
            raise
        metrics.SESSIONS_OPENED.inc()
        log.info("session opened", session=seat.peer.session)
        return seat.peer, self._opened(seat)

    def _admit(self) -> None:
        if self._closing:
            raise Refused("shutting-down", "The gateway is shutting down; connect again in a moment.")
        if len(self._seats) + self._opening >= self._max_sessions:
            raise Refused(
                "too-many-sessions", f"All {self._max_sessions} sessions of this gateway are taken; try later."
            )
        if not self._bus.is_connected:
            raise Refused("not-ready", "The gateway has lost its connection to NATS; try again in a moment.")

    async def _open(self, config: SessionConfig, link: ClientLink) -> _Seat:
        effective = merged(self._defaults, config)
        peer = Peer(
            session=SessionId(secrets.token_hex(10)),
            config=dataclasses.replace(effective, voice=config.voice),  # who names none takes what there is
            link=link,
            bus=self._bus,
            ears=self._ears,
            make_session=self._make_session,
            on_detached=self._on_detached,
            on_over=self._on_over,
            on_reference=None if self._references is None else self._references.use_soon,
            limits=self._peer_limits,
            vad_options=self._vad_options,
            clock=self._clock,
        )
        self._opening += 1
        try:
            if self._references is not None and effective.reference:
                await self._references.use(peer.session, effective.reference)
            await peer.start()
        except BaseException as error:
            await peer.close("could not be opened", tell_client=False)
            if self._references is not None:
                self._references.give_back(peer.session)
            if isinstance(error, BusUnavailable):
                raise Refused("not-ready", str(error)[:1000]) from error
            raise
        finally:
            self._opening -= 1
        visible = dataclasses.replace(effective, system_prompt=config.system_prompt)  # the deployment's is its own
        seat = self._seats[peer.session] = _Seat(peer, secrets.token_urlsafe(24), visible)
        metrics.SESSIONS.set(len(self._seats))
        return seat

    def _opened(self, seat: _Seat, *, resumed: bool = False) -> SessionOpened:
        return SessionOpened(
            session=seat.peer.session,
            token=seat.token,
            config=seat.config,
            voices=tuple(self._choice.voices()),
            resumed=resumed,
        )

    async def resume(self, session: SessionId, token: str, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        """Back to a session, with a new connection.

        Raises:
            Refused: no such session, or a wrong token; both look the same from outside.
        """
        seat = self._seats.get(session)
        expected = seat.token if seat is not None else secrets.token_urlsafe(24)
        if not hmac.compare_digest(expected.encode(), token.encode()) or seat is None:
            metrics.SESSIONS_REFUSED.labels("no-such-session").inc()
            raise Refused("no-such-session", "This session is over or was never here; open a new one.")
        self._call_off_expiry(seat)
        seat.peer.attach(link)
        metrics.SESSIONS_RESUMED.inc()
        log.info("session resumed", session=session)
        return seat.peer, self._opened(seat, resumed=True)

    def readiness(self) -> Readiness:
        """Whether a session could be opened and answered now, and what is missing if not."""
        missing = list(self._missing())
        return Readiness(
            ready=not missing,
            missing=tuple(missing),
            voices=tuple(self._choice.voices()),
            sessions=len(self._seats),
            max_sessions=self._max_sessions,
        )

    def _missing(self) -> list[str]:
        if self._closing:
            return ["the gateway is shutting down"]
        if not self._bus.is_connected:
            return ["connection to NATS"]
        missing = []
        language = self._defaults.language or "en"
        try:
            self._choice.choose_asr(language=language, tentative=True)
        except Refused as refused:
            missing.append(f"speech recognition: {refused.reason}")
        try:
            self._choice.choose_tts(voice=None, language=language, tentative=True)
        except Refused as refused:
            missing.append(f"voice: {refused.reason}")
        if len(self._seats) + self._opening >= self._max_sessions:
            missing.append("a free session")
        return missing

    def _on_command(self, subject: Subject, message: Message, respond: Respond | None) -> None:
        """A command from the bus takes the same way as one of the client. Other gateways' sessions are theirs."""
        try:
            session = parse(subject).session
        except MalformedMessage:
            return
        seat = self._seats.get(session) if session is not None else None
        if seat is None:
            return
        answer = seat.peer.command(message)
        if respond is not None:
            respond(answer)

    def _on_detached(self, peer: Peer) -> None:
        seat = self._seats.get(peer.session)
        if seat is None:
            return
        log.info("client lost", session=peer.session, waits_s=self._linger_s)
        seat.call_off_expiry = self._call_later(
            self._linger_s, lambda: self._on_over(peer, "the client did not come back")
        )
        self._count_detached()

    def _call_off_expiry(self, seat: _Seat) -> None:
        if seat.call_off_expiry is not None:
            seat.call_off_expiry()
            seat.call_off_expiry = None
        self._count_detached()

    def _count_detached(self) -> None:
        metrics.SESSIONS_DETACHED.set(sum(seat.call_off_expiry is not None for seat in self._seats.values()))

    def _on_over(self, peer: Peer, reason: str) -> None:
        """Its seat is free at once; its farewells take their time."""
        seat = self._seats.pop(peer.session, None)
        if seat is None:
            return
        self._call_off_expiry(seat)
        metrics.SESSIONS.set(len(self._seats))
        task = asyncio.create_task(self._close(peer, reason))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _close(self, peer: Peer, reason: str) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await peer.close(reason)
        except TimeoutError:
            log.warning("session did not end in time", session=peer.session)
        except Exception:
            log.exception("session did not end cleanly", session=peer.session)
        else:
            log.info("session closed", session=peer.session, reason=reason)
        if self._references is not None:
            self._references.forget(peer.session)

    async def close(self) -> None:
        """Refuse new sessions, end the open ones and wait for them, for a bounded time."""
        self._closing = True
        for subscription in self._subscriptions:
            subscription.cancel()
        for seat in list(self._seats.values()):
            self._on_over(seat.peer, "the gateway is shutting down")
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=_CLOSE_S + 1)


def merged(defaults: SessionConfig, chosen: SessionConfig) -> SessionConfig:
    """What the client chose, and the defaults for the rest."""
    fields = dataclasses.fields(chosen)
    given = {f.name: value for f in fields if (value := getattr(chosen, f.name)) is not None}
    return dataclasses.replace(defaults, **given)
