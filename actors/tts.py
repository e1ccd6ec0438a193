"""Speaks for many sessions with one model, on a thread of its own."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import assert_never

import pykka
import structlog

from actors.mailbox import Mailbox
from actors.tts_conversations import Conversations
from actors.tts_imitations import Imitation, Imitations
from actors.tts_messages import (
    Allow,
    Drop,
    Forget,
    Hold,
    Imitate,
    Key,
    Leave,
    Listener,
    LoadSynthesizer,
    OpenShaper,
    Release,
    Say,
    TtsMessage,
    Warm,
)
from actors.tts_rendition import Rendition
from actors.tts_streamed import StreamedRendition, rendition_of
from protocol.audio import SPEECH_RATE
from protocol.errors import AntiphonError
from protocol.ids import Samples
from protocol.ports import Calibrate, MemoryMeter, MemoryUse, SharesBase, Synthesizer
from protocol.speaking import ReferenceId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Continue:
    """The actor to itself: the next chunk."""


@dataclass(slots=True)
class _Turn:
    rendition: Rendition | StreamedRendition
    until: Samples
    held: bool = False
    served: int = 0
    imitates: ReferenceId | None = None

    @property
    def can_go_on(self) -> bool:
        return not self.held and self.rendition.has_work and self.rendition.samples < self.until


class TtsActor(pykka.ThreadingActor):
    """Makes one chunk per inbox turn, so that a pause, a stop or another session can cut in between.

    Whoever has the least sound in store is served first, then whoever waited longest. It makes each turn up to a
    limit that the loop moves on as sound is played.

    Runs on its own thread; answers through the mailbox, the only crossing to the event loop.
    """

    use_daemon_thread = True

    def __init__(
        self,
        *,
        load: LoadSynthesizer,
        calibrate: Calibrate,
        mailbox: Mailbox,
        listener: Listener,
        warm_up: Calibrate | None = None,
        ahead_s: float = 6.0,
        meter: MemoryMeter | None = None,
    ) -> None:
        """`warm_up` is for the model, if its level is known; `calibrate` else, and for each recording it imitates."""
        super().__init__()
        self._meter = meter
        self._load = load
        self._warm_up = warm_up or calibrate
        self._mailbox = mailbox
        self._listener = listener
        self._ahead = Samples(int(ahead_s * SPEECH_RATE))
        self._turns: dict[Key, _Turn] = {}
        self._working = False
        self._steps = 0
        self._synthesizer: Synthesizer | None = None
        self._open_shaper: OpenShaper | None = None
        self._conversations = Conversations()
        self._imitations = Imitations(calibrate, before_closing=self._conversations.end_imitations)

    def on_start(self) -> None:
        """On the actor's thread: load the model, let it speak a little, and say how that went."""
        try:
            warm = self._get_warm()
        except Exception as error:  # noqa: BLE001  # whatever a model's loading raises is the answer to who asked
            self._mailbox.post(self._listener.on_load_failed, error)
            self.stop()
            return
        self._mailbox.post(self._listener.on_loaded, warm)

    def _get_warm(self) -> Warm:
        began = time.perf_counter()
        before = self._meter.used() if self._meter is not None else None
        synthesizer = self._synthesizer = self._load()
        open_shaper = self._open_shaper = self._warm_up(synthesizer)
        return Warm(
            sample_rate=synthesizer.sample_rate,
            seconds=time.perf_counter() - began,
            memory_mb=self._grown_since(before),
            open_shaper=open_shaper,
            shares=synthesizer if isinstance(synthesizer, SharesBase) else None,
        )

    def _grown_since(self, before: MemoryUse | None) -> float:
        """What loading has used and thrown away is given back first: it is not the model's."""
        if self._meter is None or before is None:
            return 0.0
        self._meter.give_back()
        now = self._meter.used()
        on_device = now.device_mb - before.device_mb
        return max(0.0, on_device if on_device > 0.0 else now.process_mb - before.process_mb)

    def on_stop(self) -> None:
        """On the actor's thread: give the memory back."""
        for turn in self._turns.values():
            turn.rendition.close()
        self._turns.clear()
        self._conversations.close()
        self._imitations.close()
        if self._synthesizer is not None:
            self._synthesizer.close()
        self._synthesizer = self._open_shaper = None  # what the adapter's `close` has left, too
        if self._meter is not None:
            self._meter.give_back()
        self._mailbox.post(self._listener.on_ended)

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """On the actor's thread: an error that nothing here expected has ended it."""
        del exception_value, traceback
        self.on_stop()
        self._mailbox.post(self._listener.on_died, exception_type.__name__ if exception_type else "unknown")

    def on_receive(self, message: TtsMessage | _Continue) -> None:
        """On the actor's thread: at most one chunk of work."""
        match message:
            case Say():
                self._say(message)
            case Allow() | Hold() | Release():
                self._steer(message)
            case Drop(key=key, heard=heard):
                self._forget(key)
                self._conversations.settle(key, heard=heard)
            case Leave(session=session):
                self._conversations.end(session)
                self._tidy()
            case Imitate():
                self._imitate(message)
            case Forget(name=name):
                self._imitations.forget(name, self._imitated)
            case _Continue():
                self._working = False
                self._make_next()
            case _:
                assert_never(message)
        self._go_on()

    def _say(self, say: Say) -> None:
        turn = self._turns.get(say.key)
        if turn is None:
            if self._synthesizer is None or self._open_shaper is None:
                return
            voice = Imitation(self._synthesizer, self._open_shaper)
            if say.imitates is not None:
                imitation = self._imitations.get(say.imitates)
                if imitation is None:
                    self._mailbox.post(self._listener.on_failed, say.key, "the recording was forgotten")
                    return
                voice = imitation
            synthesizer = self._conversations.voice_for(say.key, voice.synthesizer, say.imitates, self._turns.keys())
            rendition = rendition_of(synthesizer, voice.open_shaper(), language=say.language, speed=say.speed)
            turn = self._turns[say.key] = _Turn(rendition, self._ahead, served=self._steps, imitates=say.imitates)
        if say.text:
            turn.rendition.add(say.index, say.text)
        if say.last:
            turn.rendition.complete()

    def _steer(self, message: Allow | Hold | Release) -> None:
        turn = self._turns.get(message.key)
        if turn is None:
            return
        if isinstance(message, Allow):
            turn.until = message.until
        else:
            turn.held = isinstance(message, Hold)

    def _tidy(self) -> None:
        """What speaking has used and freed stays in the process's heap: a fifth of a small voice's memory."""
        if self._meter is not None and not self._turns:
            self._meter.tidy()

    def _imitate(self, message: Imitate) -> None:
        if self._synthesizer is None:
            return
        fault = self._imitations.learn(self._synthesizer, message.name, message.reference)
        self._mailbox.post(self._listener.on_imitated, message.name, fault)

    @property
    def _imitated(self) -> set[ReferenceId | None]:
        return {turn.imitates for turn in self._turns.values()}

    def _go_on(self) -> None:
        """Keep exactly one `_Continue` in the inbox while there is work."""
        if not self._working and any(turn.can_go_on for turn in self._turns.values()):
            self._working = True
            self.actor_ref.tell(_Continue())

    def _make_next(self) -> None:
        ready = [(key, turn) for key, turn in self._turns.items() if turn.can_go_on]
        if not ready:
            return
        key, turn = min(ready, key=lambda one: (one[1].rendition.samples - one[1].until, one[1].served))
        self._steps += 1
        turn.served = self._steps
        began = time.perf_counter()
        try:
            made = turn.rendition.step()
        except AntiphonError as error:
            self._forget(key)
            self._mailbox.post(self._listener.on_failed, key, str(error))
            return
        except Exception as error:
            # One session's turn must not end the other sessions' voice.
            log.exception("a voice failed in a way that its adapter does not know")
            self._forget(key)
            self._mailbox.post(self._listener.on_failed, key, type(error).__name__)
            return
        if made.finished:
            self._forget(key)
        self._mailbox.post(self._listener.on_made, key, made, time.perf_counter() - began)

    def _forget(self, key: Key) -> None:
        turn = self._turns.pop(key, None)
        if turn is not None:
            turn.rendition.close()
            self._imitations.close_forgotten(self._imitated)
