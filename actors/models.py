"""The model manager of a TTS worker: carries out what the residency policy decides. On the loop.

Loading, warm-up and unloading happen on the models' own threads.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol, assert_never

import structlog

from actors import tts_metrics
from actors.instances import Instances
from actors.load_faults import fault_of
from actors.model_status import status_of
from actors.policies.residency import Residency
from actors.policies.resident import Evict, EvictReason, Limits, Load, Refuse
from actors.repertoire import Repertoire
from actors.tts_messages import Warm
from actors.voice_threads import VoiceThreads
from actors.voices import Lease, LoadedVoice, Voice
from protocol.errors import AntiphonError, Refused
from protocol.ids import Millis, ModelId, SessionId
from protocol.workers import ModelStatus

log = structlog.get_logger()

CallLater = Callable[[float, Callable[[], None]], "Timer"]


class Timer(Protocol):
    """What a loop's `call_later` returns."""

    def cancel(self) -> None:
        """Don't."""


class ModelManager:
    """Who asks for a model gets it when it is warm, and keeps it in memory by a lease.

    `on_died(model, reason)` hears of an actor that ended by an error, with everything it was speaking; `on_changed()`
    when another model is resident or known.
    """

    def __init__(
        self,
        voices: Sequence[Voice],
        *,
        limits: Limits,
        threads: VoiceThreads,
        clock: Callable[[], float],
        call_later: CallLater,
        on_died: Callable[[ModelId, str], None],
        on_changed: Callable[[], None] = lambda: None,
        reread: Callable[[], Sequence[Voice]] | None = None,
        check_every_ms: int = 30_000,
    ) -> None:
        """The first of `voices` is the default one. `reread` is called on a thread."""
        self.voices = Repertoire(voices)
        self._residency = Residency(self.voices.needs, limits=limits)
        self._threads = threads
        self._clock = clock
        self._call_later = call_later
        self._on_died = on_died
        self._on_changed = on_changed
        self._reread = reread
        self._check_every_ms = check_every_ms
        self._numbers = count(1)
        self._holders: dict[int, SessionId] = {}
        self._here = Instances()
        self._timer: Timer | None = None
        self._is_over = False

    # --- what there is ----------------------------------------------------------------------------------------------
    @property
    def resident(self) -> tuple[ModelId, ...]:
        """All that take work now."""
        return tuple(self._residency.at("resident"))

    def statuses(self) -> tuple[ModelStatus, ...]:
        """All that could be loaded, the default first."""
        now, waiting = self._now(), self.waiting()
        return tuple(
            status_of(
                voice, self._residency, now, users=len(self._users(voice.model)), waiting=waiting.get(voice.model, 0)
            )
            for voice in self.voices
        )

    def waiting(self) -> dict[ModelId, int]:
        """At each base that voices share: how many of them wait now, while another one computes."""
        return self._here.waiting(self._residency)

    # --- wishes -----------------------------------------------------------------------------------------------------
    async def acquire(self, model: ModelId, session: SessionId) -> Lease:
        """The model, loaded now if it was not, and kept in memory until the lease is released.

        Raises:
            Refused: `no-such-model`, `model-unavailable` with the reason, or `no-room`.
        """
        self.voices.find(model)
        number = next(self._numbers)
        self._admit(model, self._residency.hold(model, number, self._now()))
        self._holders[number] = session
        voice = self._here.of(model)
        lease = Lease(voice, lambda: self._release(model, number))
        self.evict_idle()
        try:
            await asyncio.shield(voice.ready)
        except BaseException:
            lease.release()
            raise
        return lease

    async def load(self, model: ModelId) -> None:
        """Make it resident, without using it.

        Raises:
            Refused: as `acquire`.
        """
        self.voices.find(model)
        self._admit(model, self._residency.load(model, self._now()))
        if model in self._residency.at("resident"):
            return
        voice = self._here.of(model)
        self.evict_idle()
        await asyncio.shield(voice.ready)

    async def unload(self, model: ModelId) -> None:
        """Give its memory back, and return when that is done; harmless when it is not loaded.

        Raises:
            Refused: `no-such-model`, or `model-in-use`.
        """
        self.voices.find(model)
        if not self._residency.unload(model):
            users = len(self._users(model))
            raise Refused("model-in-use", f"{users} sessions speak with {model}" if users else f"{model} is loading")
        self.evict_idle()
        if leaving := self._here.leaving.get(model):
            await asyncio.shield(leaving.ended)

    async def reload(self, model: ModelId | None = None) -> None:
        """Read the voice packs anew. A model that is named is loaded anew, once nobody uses it.

        Returns when that is done, or at once if the model is in use.

        Raises:
            Refused: `packs-invalid` (then nothing has changed), and as `load`.
        """
        if self._reread is not None:
            try:
                voices = await asyncio.to_thread(self._reread)
            except AntiphonError as error:
                raise Refused("packs-invalid", str(error)) from error
            self.voices.replace(voices)
            self._residency.know(self.voices.needs)
        if model is not None:
            self.voices.find(model)
            self._threads.forget(model)
            self._residency.renew(model)
        self.evict_idle()
        self._on_changed()
        if model is not None and not self._users(model):
            await self.load(model)

    def evict_idle(self) -> None:
        """Carry out what is due. Called after each change, at deadlines, and every `check_every_ms`."""
        if self._is_over:
            return
        for command in self._residency.due(self._now()):
            match command:
                case Load(model):
                    self._start(model)
                case Evict(model, reason):
                    self._end(model, reason)
                case Refuse(model, reason):
                    self._refuse(model, reason)
                case _:
                    assert_never(command)
        self._arm()
        tts_metrics.RESIDENT.set(len(self.resident))
        tts_metrics.LOADS_WAITING.set(len(self._residency.waiting))
        tts_metrics.MEMORY.set(self._residency.footprint.total_mb * 2**20)

    async def stop(self, *, within_s: float = 2.0) -> None:
        """End all actors, and wait for them; see `Instances`."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        await self._here.stop(within_s=within_s)

    # --- from the actors --------------------------------------------------------------------------------------------
    def on_loaded(self, voice: LoadedVoice, warm: Warm) -> None:
        """It takes work."""
        if not self._here.is_current(voice):
            return
        measured = self._here.measured(voice.model, warm.memory_mb)
        self._residency.loaded(voice.model, self._now(), measured, with_base=warm.with_base)
        voice.shares = warm.shares
        tts_metrics.LOADS.labels(voice.model).inc()
        tts_metrics.LOAD_SECONDS.observe(warm.seconds)
        log.info("a voice is loaded", model=voice.model, seconds=round(warm.seconds, 2), memory_mb=measured)
        if not voice.ready.done():
            voice.ready.set_result(warm.sample_rate)
        self.evict_idle()
        self._on_changed()

    def on_load_failed(self, voice: LoadedVoice, error: Exception) -> None:
        """Everybody who waited is told why; the next one who asks too soon, too."""
        if not self._here.is_current(voice):
            return
        self._here.drop(voice.model)
        reason = str(error) or type(error).__name__
        fault = fault_of(error)
        self._residency.failed(voice.model, self._now(), reason)
        tts_metrics.LOAD_FAILURES.labels(fault).inc()
        log.error("a voice cannot be loaded", model=voice.model, reason=reason, fault=fault)
        voice.fail(Refused("model-unavailable", reason[:1000]))
        self.evict_idle()

    def on_ended(self, voice: LoadedVoice) -> None:
        """An evicted one has given its memory back."""
        if self._here.has_left(voice):
            self._residency.gone(voice.model)
            self.evict_idle()
            self._on_changed()

    def on_died(self, voice: LoadedVoice, reason: str) -> None:
        """Its actor ended by an error; the next request loads it again."""
        if not self._here.is_current(voice):
            return
        self._here.drop(voice.model)
        tts_metrics.DEATHS.inc()
        log.error("a voice has died", model=voice.model, reason=reason)
        self._residency.gone(voice.model)
        self._on_died(voice.model, reason)
        self.evict_idle()

    # --- inside -----------------------------------------------------------------------------------------------------
    def _now(self) -> Millis:
        return Millis(round(self._clock() * 1000))

    def _admit(self, model: ModelId, pause_ms: Millis) -> None:
        if pause_ms:
            fault = self._residency[model].fault
            raise Refused(
                "model-unavailable", f"{fault[:900]} (tried again in {pause_ms / 1000:.0f} s at the earliest)"
            )

    def _users(self, model: ModelId) -> set[SessionId]:
        return {self._holders[hold] for hold in self._residency[model].holds}

    def _release(self, model: ModelId, number: int) -> None:
        self._residency.release(model, number, self._now())
        self._holders.pop(number, None)
        self.evict_idle()

    def _start(self, model: ModelId) -> None:
        self._here.load_together(self._residency.at("loading"))
        self._threads.start(self.voices.find(model), self._here.of(model), self)

    def _end(self, model: ModelId, reason: EvictReason) -> None:
        log.info("a voice is unloaded", model=model, why=reason)
        tts_metrics.EVICTIONS.labels(reason).inc()
        self._here.dismiss(model)
        self._on_changed()

    def _refuse(self, model: ModelId, reason: str) -> None:
        log.warning("no room for a voice", model=model, reason=reason)
        tts_metrics.LOADS_REFUSED.inc()
        if voice := self._here.drop(model):
            voice.fail(Refused("no-room", reason))

    def _arm(self) -> None:
        """Look again at the deadline, and now and then."""
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._residency.deadline()
        wait_ms = self._check_every_ms if deadline is None else min(self._check_every_ms, deadline - self._now())
        self._timer = self._call_later(max(0, wait_ms) / 1000, self.evict_idle)
