"""What a deployment may configure: frozen, and validated once when a process starts.

`gateway.yaml` and `worker.yaml` are overridden by `ANTIPHON_*` variables, which are overridden by flags
(`actors.settings_sources` reads them). The defaults here are those of docs/configuration.md.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from protocol.conversation import BargeIn, SessionConfig
from protocol.ids import TOKEN_PATTERN, Millis, ModelId, WorkerName
from protocol.message import Language
from protocol.routing import WhenCold
from protocol.speaking import Speed

LogLevel = Literal["debug", "info", "warning", "error"]
Device = Literal["cpu", "cuda", "auto"]
RegistryName = Literal["nats", "redis"]
_Id = Annotated[str, Field(pattern=TOKEN_PATTERN)]
_Prefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9:._/{}-]{1,100}$")]
_Port = Annotated[int, Field(ge=0, le=65_535)]
_Count = Annotated[int, Field(ge=1, le=10_000)]
_Threads = Annotated[int, Field(ge=1, le=256)]
_Seconds = Annotated[float, Field(gt=0.0, le=3_600.0)]
_Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


class NatsSettings(_Settings):
    """How a process reaches the bus. A user and password may stand in the URL."""

    url: str = "nats://127.0.0.1:4222"
    """One server, or several of a cluster, separated by commas."""
    credentials: Path | None = None
    """A file with a JWT and its seed."""

    @property
    def urls(self) -> tuple[str, ...]:
        """Each one."""
        return tuple(url.strip() for url in self.url.split(",") if url.strip())


class RedisSettings(_Settings):
    """Where workers are announced for those who use Redis; `registry: redis` is what makes us use it."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """`rediss://` for TLS; a user and password may stand in it."""
    tts_prefix: _Prefix = "tts:workers"
    asr_prefix: _Prefix = "asr:workers"

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.tts_prefix == self.asr_prefix:
            raise ValueError("tts_prefix and asr_prefix must differ")
        return self


class LlmSettings(_Settings):
    """The language model; without a `base_url` the reply is an echo."""

    base_url: str | None = None
    """Of a server that speaks the OpenAI chat API, up to and with its version: `http://127.0.0.1:8000/v1`."""
    model: str = ""
    api_key: SecretStr = SecretStr("")
    system_prompt: Annotated[str, Field(max_length=8_000)] = (
        "You are speaking with a person by voice. Answer in one to three short sentences of plain spoken language, "
        "without lists, markup or emoji."
    )
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    first_text_timeout_s: _Seconds = 10.0
    silence_timeout_s: _Seconds = 10.0
    """Between two pieces of one reply."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.base_url and not self.model:
            raise ValueError("base_url needs a model: name one of the server's models")
        return self


class VadSettings(_Settings):
    """When somebody counts as speaking."""

    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    start_windows: Annotated[int, Field(ge=1, le=30)] = 2
    """Windows of 32 ms in a row."""
    stop_ms: Annotated[int, Field(ge=32, le=3_000)] = 200


class GatewaySettings(_Settings):
    """`gateway.yaml`."""

    name: _Id = "gateway-0"
    """What the directory of sessions calls it; several gateways need names of their own."""
    host: str = "127.0.0.1"
    port: _Port = 8_700
    api_key: SecretStr | None = None
    """What clients must show; none: everybody who reaches the port may talk."""
    admin_key: SecretStr | None = None
    """What operators must show who load, unload and drain; none: only a gateway without any key, for this machine."""
    nats: NatsSettings = NatsSettings()
    registry: RegistryName = "nats"
    """Where workers are looked up."""
    redis: RedisSettings = RedisSettings()
    max_sessions: _Count = 32
    linger_s: _Seconds = 30.0
    """How long a session waits for a client that lost its connection."""
    stun_servers: tuple[str, ...] = ()
    log_level: LogLevel = "info"

    voice: _Id = "hibari-heart"
    language: Language = "en"
    speed: Speed = 1.0
    barge_in: BargeIn = "words"
    end_of_turn_ms: Annotated[int, Field(ge=200, le=3_000)] = 500
    resume_delay_ms: Annotated[int, Field(ge=0, le=3_000)] = 250
    tentative_hold: bool = True
    when_cold: WhenCold = "fallback"
    """A voice that is in no worker's memory: wait for it, speak with another one meanwhile, or refuse."""
    wordless_limit_ms: _Milliseconds = 2_500
    prepare: bool = True
    """Begin a reply at the likely end of speech, before the turn is certain."""
    apology: Annotated[str, Field(max_length=500)] = ""
    """Spoken when a reply fails; empty: nothing is spoken."""
    reference_max_bytes: Annotated[int, Field(ge=10_000, le=100_000_000)] = 5_000_000
    """Of a recording of a voice that a client brings."""
    keep_references: bool = False
    """Whether a client may have its recording of a voice kept beyond its session."""
    vad: VadSettings = VadSettings()
    llm: LlmSettings = LlmSettings()

    @property
    def session_defaults(self) -> SessionConfig:
        """What a client gets that chooses nothing."""
        return SessionConfig(
            voice=self.voice,
            language=self.language,
            speed=self.speed,
            barge_in=self.barge_in,
            end_of_turn_ms=Millis(self.end_of_turn_ms),
            resume_delay_ms=Millis(self.resume_delay_ms),
            tentative_hold=self.tentative_hold,
            system_prompt=self.llm.system_prompt,
            when_cold=self.when_cold,
            reference="",
        )


class ModelManagerSettings(_Settings):
    """Which models of a family stay in memory."""

    default_model_id: _Id | None = None
    """Of a session that names none; the family's first pack if None."""
    preload_model_ids: tuple[_Id, ...] = ()
    """In memory and warmed up before the worker is ready; the default model is always."""
    ttl_ms: _Milliseconds = 600_000
    min_residency_ms: _Milliseconds = 120_000
    evict_check_interval_ms: Annotated[int, Field(ge=100, le=86_400_000)] = 30_000
    resident_cap: _Count = 3
    """Kept in memory; more only while all of them are in use."""
    max_parallel_loads: _Count = 1
    memory_cap_mb: Annotated[int, Field(ge=1)] | None = None
    """Of all models together, as measured at loading; on a GPU its memory."""


class TtsWorkerSettings(_Settings):
    """One TTS worker process speaks with one family of models."""

    family: _Id = "hibari"
    name: _Id | None = None
    threads: _Threads = 1
    """Of a model's computing; more than one rarely pays for models this small."""
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d{1,2})?)$")] = "cpu"
    """Of a model that torch runs: `cpu`, `cuda`, `cuda:1`."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of such a model's numbers; `auto` is what the family speaks well with on that device."""
    max_sessions: _Count = 32
    lead_ms: Annotated[int, Field(ge=20, le=5_000)] = 200
    """How far a worker's frames may run ahead of what the client has played."""
    metrics_port: _Port | None = None
    """Of Prometheus metrics; 0: any free one, which the log names; none: no metrics."""
    metrics_port_shift: Annotated[int, Field(ge=0, le=999)] = 0
    """Added to it unless it is 0, so that workers of one machine may share a file: each needs a port of its own."""
    metrics_host: str = "127.0.0.1"
    model_manager: ModelManagerSettings = ModelManagerSettings()

    @property
    def worker_name(self) -> WorkerName:
        """As announced."""
        return WorkerName(self.name or f"tts-{self.family}-0")

    @property
    def default_model(self) -> ModelId | None:
        """Of a session that names none."""
        chosen = self.model_manager.default_model_id
        return None if chosen is None else ModelId(chosen)


class AsrWorkerSettings(_Settings):
    """One ASR worker process."""

    name: _Id = "asr-whisper-0"
    model: str | None = None
    """A name that faster-whisper knows, or a folder with a CTranslate2 model; the bundled tiny.en if None."""
    device: Device = "cpu"
    compute_type: Annotated[str, Field(pattern=r"^[a-z0-9_]{2,32}$")] = "default"
    threads: _Threads = 2
    language: Language = "en"
    """Warmed up with; a model that knows several serves all of them."""
    beam_size: Annotated[int, Field(ge=1, le=10)] = 1
    max_sessions: _Count = 32
    metrics_port: _Port | None = None
    """As `tts.metrics_port`."""
    metrics_host: str = "127.0.0.1"

    @property
    def worker_name(self) -> WorkerName:
        """As announced."""
        return WorkerName(self.name)


class WorkerSettings(_Settings):
    """`worker.yaml`: the same file serves both kinds of workers."""

    nats: NatsSettings = NatsSettings()
    registry: RegistryName = "nats"
    """Where the worker announces itself."""
    redis: RedisSettings = RedisSettings()
    log_level: LogLevel = "info"
    voicepacks_dir: Path | None = None
    """The user's own voice packs; `antiphon/voicepacks` in the user's data folder if None."""
    cache_dir: Path | None = None
    """Pulled weights and what is made of them; `antiphon` in the user's cache folder if None."""
    tts: TtsWorkerSettings = TtsWorkerSettings()
    asr: AsrWorkerSettings = AsrWorkerSettings()


class BridgeSettings(_Settings):
    """`bridge.yaml`: which two registries are mirrored in each other."""

    nats: NatsSettings = NatsSettings()
    redis: RedisSettings = RedisSettings()
    log_level: LogLevel = "info"
