"""From NATS to a handler: decoded, in order, and never in each other's way."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from adapters.bus import metrics
from adapters.bus.tally import Tallies, Tally
from protocol import audio, codec
from protocol.errors import MalformedMessage
from protocol.message import Message
from protocol.ports import OnFrame, OnMessage, Respond
from protocol.subjects import Subject

_LOG = structlog.get_logger(__name__)
_COMPLAINTS_PER_MINUTE: Final = 20

Reply = Callable[[str, Message], None]


class _Complaints:
    """A flood of nonsense is counted in full and logged in part."""

    def __init__(self) -> None:
        self._minute = 0
        self._said = 0

    def malformed(self, kind: str, subject: str, reason: str) -> None:
        metrics.MALFORMED.labels(kind).inc()
        minute = int(asyncio.get_running_loop().time() // 60)
        if minute != self._minute:
            self._minute, self._said = minute, 0
        self._said += 1
        if self._said <= _COMPLAINTS_PER_MINUTE:
            _LOG.warning("malformed " + kind, subject=subject[:120], reason=reason)


_COMPLAINTS: Final = _Complaints()


class MessageInbox:
    """A subscription to control messages.

    nats-py awaits `deliver` for one message after the other; it never waits in there, so that a slow START cannot stand
    before a PAUSE.
    """

    def __init__(self, on_message: OnMessage, reply: Reply, tallies: Tallies) -> None:
        self._on_message = on_message
        self._reply = reply
        self._tallies = tallies
        self.lifeline = Lifeline(self._let_go)

    def _let_go(self) -> None:
        self._on_message = _nobody

    async def deliver(self, msg: Msg) -> None:
        """Called by nats-py on the loop."""
        if self.lifeline.is_cancelled:
            return
        tally = self._tallies.get(msg.subject)
        if tally is not None:
            tally.requests += 1
        try:
            message = codec.decode(msg.subject, msg.data)
        except MalformedMessage as error:
            _COMPLAINTS.malformed("message", msg.subject, str(error))
            if tally is not None:
                tally.failed(f"malformed: {error}")
            return
        went_well = guarded(self._on_message, Subject(msg.subject), message, self._respond(msg.reply, tally))
        if tally is not None and not went_well:
            tally.failed("the handler failed; the log says how")

    def _respond(self, reply_to: str, tally: Tally | None) -> Respond | None:
        if not reply_to:
            return None
        reply = self._reply

        def respond(message: Message) -> None:
            reply(reply_to, message)

        return respond if tally is None else tally.timed(respond)


class FrameInbox:
    """A subscription to frames: when more than `depth` wait, the oldest are dropped."""

    def __init__(self, on_frame: OnFrame, depth: int) -> None:
        self._on_frame = on_frame
        self._waiting: deque[Msg] = deque(maxlen=depth)
        self._is_due = False
        self.lifeline = Lifeline(self._let_go)

    def _let_go(self) -> None:
        self._on_frame = _nobody
        self._waiting.clear()

    async def deliver(self, msg: Msg) -> None:
        """Called by nats-py on the loop; handed on in the loop's next round."""
        if len(self._waiting) == self._waiting.maxlen:
            metrics.DROPPED.labels("frame-received").inc()
        self._waiting.append(msg)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._hand_on)

    def _hand_on(self) -> None:
        self._is_due = False
        while self._waiting and not self.lifeline.is_cancelled:
            msg = self._waiting.popleft()
            try:
                frame = audio.unpack(msg.data)
            except MalformedMessage as error:
                _COMPLAINTS.malformed("frame", msg.subject, str(error))
                continue
            guarded(self._on_frame, Subject(msg.subject), frame)


class Lifeline:
    """Implements ports.Subscription for both.

    Cancelled, it lets go of all it knows, and its inbox does: whoever was called goes at once, with all they have in
    memory, and need not wait for the garbage collector.
    """

    def __init__(self, let_go: Callable[[], None] = lambda: None) -> None:
        self.is_cancelled = False
        self._let_go = let_go
        self._subscription: NatsSubscription | None = None
        self._end: Callable[[NatsSubscription], None] = _nobody

    def tie(self, subscription: NatsSubscription, end: Callable[[NatsSubscription], None]) -> None:
        """`end` takes the subscription back at the server."""
        self._subscription, self._end = subscription, end

    def cancel(self) -> None:
        """No call-back comes after this."""
        if self.is_cancelled:
            return
        self.is_cancelled = True
        self._let_go()
        subscription, end = self._subscription, self._end
        self._subscription, self._end, self._let_go = None, _nobody, _nobody
        if subscription is not None:
            end(subscription)


def _nobody(*_: object) -> None:
    """Hears of nothing any more."""


def guarded(handler: Callable[..., None], *args: Any) -> bool:
    """Call it; a handler that raises loses this one message and no later one. Whether it went well."""
    try:
        handler(*args)
    except Exception:  # noqa: BLE001  # whatever it is, later messages are not its hostages
        metrics.HANDLER_FAILURES.inc()
        _LOG.exception("handler failed", subject=str(args[0])[:120] if args else "")
        return False
    return True
