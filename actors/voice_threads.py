"""Starts a TTS worker's models, each on a thread of its own, warm before it takes work."""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from actors.mailbox import Mailbox
from actors.tts import TtsActor
from actors.tts_messages import Key, OpenShaper, Warm
from actors.tts_rendition import Made
from actors.voices import LoadedVoice, Voice
from protocol.ids import ModelId
from protocol.ports import Calibrate, MemoryMeter, Synthesizer
from protocol.speaking import ReferenceId

_WARM_UP_S: Final = 0.3
_WARM_UP: Final = "Hello, and good day."


class VoiceWatcher(Protocol):
    """Whom the threads tell what became of a voice. Called on the loop."""

    def on_loaded(self, voice: LoadedVoice, warm: Warm) -> None:
        """It takes work."""

    def on_load_failed(self, voice: LoadedVoice, error: Exception) -> None:
        """It could not be loaded."""

    def on_ended(self, voice: LoadedVoice) -> None:
        """Its memory is back."""

    def on_died(self, voice: LoadedVoice, reason: str) -> None:
        """It ended by an error."""


class VoiceThreads:
    """A model's first load measures its level, by speaking two sentences; later ones speak 0.3 s to warm it up.

    A voice that knows its level from an earlier process (`Voice.calibrate`) is only warmed up at its first load, too.

    `on_made(key, made, compute_s)` and `on_failed(key, reason)` hear of all turns.
    """

    def __init__(
        self,
        *,
        calibrate: Calibrate,
        mailbox: Mailbox,
        on_made: Callable[[Key, Made, float], None],
        on_failed: Callable[[Key, str], None],
        meter: MemoryMeter | None = None,
        ahead_s: float = 6.0,
    ) -> None:
        """`meter` is called on the models' threads; None: memory is not measured."""
        self._calibrate = calibrate
        self._mailbox = mailbox
        self._meter = meter
        self._ahead_s = ahead_s
        self._shapers: dict[ModelId, OpenShaper] = {}
        self.on_made = on_made
        self.on_failed = on_failed

    def start(self, voice: Voice, loaded: LoadedVoice, watcher: VoiceWatcher) -> None:
        """Begin to load it."""
        shaper = self._shapers.get(voice.model)
        listener = _Listener(self, loaded, watcher)
        try:
            loaded.actor = TtsActor.start(
                load=voice.load,
                calibrate=self._calibrate,
                warm_up=voice.calibrate if shaper is None else partial(warmed_up, shaper, voice.languages[0]),
                mailbox=self._mailbox,
                listener=listener,
                ahead_s=self._ahead_s,
                meter=self._meter,
            )
        except RuntimeError as error:  # the system gives no more threads
            self._mailbox.post(listener.on_load_failed, error)

    def forget(self, model: ModelId) -> None:
        """Measure its level anew when it is loaded next."""
        self._shapers.pop(model, None)

    def remember(self, model: ModelId, shaper: OpenShaper) -> None:
        """Its level is known."""
        self._shapers[model] = shaper


def warmed_up(shaper: OpenShaper, language: str, synthesizer: Synthesizer) -> OpenShaper:
    """Speak 0.3 s, and go on with what is known."""
    chunks = synthesizer.synthesize(_WARM_UP, language=language, speed=1.0)
    samples = 0
    for chunk in chunks:
        samples += len(chunk.pcm)
        if samples >= _WARM_UP_S * synthesizer.sample_rate:
            break
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
    return shaper


class _Listener:
    """What one actor's answers are about."""

    def __init__(self, threads: VoiceThreads, voice: LoadedVoice, watcher: VoiceWatcher) -> None:
        self._threads = threads
        self._voice = voice
        self._watcher = watcher

    def on_loaded(self, warm: Warm) -> None:
        self._threads.remember(self._voice.model, warm.open_shaper)
        self._watcher.on_loaded(self._voice, warm)

    def on_load_failed(self, error: Exception) -> None:
        self._watcher.on_load_failed(self._voice, error)

    def on_made(self, key: Key, made: Made, compute_s: float) -> None:
        self._threads.on_made(key, made, compute_s)

    def on_failed(self, key: Key, reason: str) -> None:
        self._threads.on_failed(key, reason)

    def on_imitated(self, name: ReferenceId, fault: str) -> None:
        self._voice.imitated(name, fault)

    def on_ended(self) -> None:
        self._watcher.on_ended(self._voice)

    def on_died(self, reason: str) -> None:
        self._voice.unlearn(reason)
        self._watcher.on_died(self._voice, reason)
