"""The models of a TTS worker: loaded when asked for, one actor each. Where residency belongs (see docs)."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pykka
import structlog

from actors.mailbox import Mailbox
from actors.tts import Key, LoadSynthesizer, TtsActor, TtsMessage
from actors.tts_rendition import Made
from protocol.errors import ModelUnavailable, Refused
from protocol.ids import ModelId, SessionId
from protocol.ports import Calibrate
from protocol.workers import ModelState, ModelStatus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A model that could be loaded."""

    model: ModelId
    languages: tuple[str, ...]
    load: LoadSynthesizer


@dataclass(slots=True)
class LoadedVoice:
    """A model that is loaded, or being loaded."""

    model: ModelId
    ready: "asyncio.Future[int]"
    actor: pykka.ActorRef[TtsActor] | None = None
    users: set[SessionId] = field(default_factory=set)

    @property
    def sample_rate(self) -> int:
        """In Hz; only once it is ready."""
        return self.ready.result()

    @property
    def is_resident(self) -> bool:
        """Whether it takes work."""
        return self.ready.done() and not self.ready.cancelled() and self.ready.exception() is None

    def tell(self, message: TtsMessage) -> None:
        """Hand it on to the actor; lost when that has ended."""
        if self.actor is not None:
            try:
                self.actor.tell(message)
            except pykka.ActorDeadError:
                log.warning("a message came too late for a voice", model=self.model)


class Models:
    """What is loaded. On the loop; loading happens on the actors' threads.

    `on_made(key, made, compute_s)` and `on_failed(key, reason)` hear of all turns; `on_died(model, reason)` of an
    actor that ended by an error, with everything it was speaking.
    """

    def __init__(
        self,
        voices: Sequence[Voice],
        *,
        calibrate: Calibrate,
        mailbox: Mailbox,
        ahead_s: float,
        on_made: Callable[[Key, Made, float], None],
        on_failed: Callable[[Key, str], None],
        on_died: Callable[[ModelId, str], None],
    ) -> None:
        self._voices = {voice.model: voice for voice in voices}
        self._calibrate = calibrate
        self._mailbox = mailbox
        self._ahead_s = ahead_s
        self.on_made = on_made
        self.on_failed = on_failed
        self._on_died = on_died
        self._loaded: dict[ModelId, LoadedVoice] = {}

    @property
    def known(self) -> tuple[ModelId, ...]:
        """All that could be loaded, the default first."""
        return tuple(self._voices)

    @property
    def languages(self) -> tuple[str, ...]:
        """All that could be spoken."""
        return tuple(dict.fromkeys(lang for voice in self._voices.values() for lang in voice.languages))

    @property
    def resident(self) -> tuple[ModelId, ...]:
        """All that take work now."""
        return tuple(model for model, voice in self._loaded.items() if voice.is_resident)

    def statuses(self) -> tuple[ModelStatus, ...]:
        """All that could be loaded, the default first."""
        return tuple(self._status(model) for model in self._voices)

    def _status(self, model: ModelId) -> ModelStatus:
        loaded = self._loaded.get(model)
        state: ModelState = "known" if loaded is None else "resident" if loaded.is_resident else "loading"
        return ModelStatus(
            model=model,
            state=state,
            languages=self._voices[model].languages,
            users=0 if loaded is None else len(loaded.users),
            is_default=model == next(iter(self._voices)),
        )

    def speaks(self, model: ModelId, language: str) -> bool:
        """Whether a model speaks a language, of whatever region; an unknown model is `ensure`'s to refuse."""
        voice = self._voices.get(model)
        wanted = language.partition("-")[0]
        return voice is None or any(spoken.partition("-")[0] == wanted for spoken in voice.languages)

    async def ensure(self, model: ModelId) -> LoadedVoice:
        """The model, loaded now if it was not; two who ask at the same time wait for the same loading.

        Raises:
            Refused: `no-such-model`, or `model-unavailable` with the reason.
        """
        voice = self._voices.get(model)
        if voice is None:
            raise Refused("no-such-model", f"there is no voice {model!r} here; there are: {', '.join(self._voices)}")
        loaded = self._loaded.get(model)
        if loaded is None:
            loaded = self._loaded[model] = self._load(voice)
        try:
            await asyncio.shield(loaded.ready)
        except ModelUnavailable as error:
            raise Refused("model-unavailable", str(error)[:1000]) from error
        return loaded

    def unload(self, model: ModelId) -> None:
        """Give its memory back; harmless when it is not loaded.

        Raises:
            Refused: `no-such-model`, or `model-in-use`.
        """
        if model not in self._voices:
            raise Refused("no-such-model", f"there is no voice {model!r} here")
        loaded = self._loaded.get(model)
        if loaded is None:
            return
        if loaded.users or not loaded.ready.done():
            raise Refused("model-in-use", f"{len(loaded.users)} sessions speak with {model}")
        self._end(model)

    async def stop(self, *, within_s: float = 2.0) -> None:
        """End all actors, each after the chunk that it is making.

        They are waited for: a process that ends while a thread computes is aborted by the model's library.
        """
        actors = [voice.actor for voice in self._loaded.values() if voice.actor is not None]
        for model in tuple(self._loaded):
            self._end(model)
        deadline = time.monotonic() + within_s
        for actor in actors:
            await asyncio.to_thread(actor.actor_stopped.wait, max(0.0, deadline - time.monotonic()))

    def _load(self, voice: Voice) -> LoadedVoice:
        loaded = LoadedVoice(voice.model, asyncio.get_running_loop().create_future())
        loaded.actor = TtsActor.start(
            load=voice.load,
            calibrate=self._calibrate,
            mailbox=self._mailbox,
            listener=_Listener(self, loaded),
            ahead_s=self._ahead_s,
        )
        return loaded

    def _end(self, model: ModelId) -> None:
        loaded = self._loaded.pop(model)
        if loaded.actor is not None:
            loaded.actor.stop(block=False)

    def load_failed(self, loaded: LoadedVoice, error: Exception) -> None:
        """Its actor says so; the next request tries again."""
        self._loaded.pop(loaded.model, None)
        log.error("a voice cannot be loaded", model=loaded.model, reason=str(error))
        if not loaded.ready.done():
            loaded.ready.set_exception(ModelUnavailable(str(error) or type(error).__name__))
            loaded.ready.exception()  # retrieved: a preload that nobody waits for is not warned about

    def died(self, loaded: LoadedVoice, reason: str) -> None:
        """Its actor ended by an error; the next request loads it again."""
        self._loaded.pop(loaded.model, None)
        log.error("a voice has died", model=loaded.model, reason=reason)
        self._on_died(loaded.model, reason)


class _Listener:
    """What one actor's answers are about."""

    def __init__(self, models: Models, loaded: LoadedVoice) -> None:
        self._models = models
        self._loaded = loaded

    def on_loaded(self, sample_rate: int) -> None:
        if not self._loaded.ready.done():
            self._loaded.ready.set_result(sample_rate)

    def on_load_failed(self, error: Exception) -> None:
        self._models.load_failed(self._loaded, error)

    def on_made(self, key: Key, made: Made, compute_s: float) -> None:
        self._models.on_made(key, made, compute_s)

    def on_failed(self, key: Key, reason: str) -> None:
        self._models.on_failed(key, reason)

    def on_died(self, reason: str) -> None:
        self._models.died(self._loaded, reason)
