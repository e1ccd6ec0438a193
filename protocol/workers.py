"""What a worker says of itself (KV `workers`), and what it can be asked to do (`control.worker.*`)."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from protocol.ids import MicrosField, ModelField, UnixMicros, WorkerField
from protocol.message import Code, Language, Message, Reason

WorkerKind = Literal["tts", "asr"]
WorkerState = Literal["starting", "ready", "draining"]
ModelState = Literal["known", "loading", "resident", "failed"]
_Count = Annotated[int, Field(ge=0)]
_Measure = Annotated[float, Field(ge=0.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the router filters by."""

    streaming: bool = True
    zero_shot: bool = False
    lora: bool = False
    cpu_ok: bool = True
    languages: tuple[Language, ...] = ("en",)
    emotive_zero_prompt: bool = False
    sample_rates: tuple[int, ...] = (48_000,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Measured, not declared; 0 while nothing was measured yet.

    Attributes:
        queue_depth: pieces of text that are not spoken yet, of all sessions and models.
        waiting: voices that wait now while another one computes with the base that they share. What each of them says
            is in `queue_depth` already.
    """

    rtf: _Measure = 0.0
    queue_depth: _Count = 0
    waiting: _Count = 0
    p50_first_audio_ms: _Measure = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A worker, as the router sees it.

    Attributes:
        started_at: tells a restarted worker from its predecessor of the same name.
        pulse_ms: how often it sends a `Pulse`; 0 for one that sends none (a worker of another system).
        model_languages: what each model speaks; a model that is missing here speaks all that `capabilities` names.
        via: `bridge` marks what was mirrored from another registry, and is never mirrored back.
    """

    name: WorkerField
    kind: WorkerKind = "tts"
    addr: Annotated[str, Field(max_length=200)]
    capabilities: Capabilities = field(default_factory=Capabilities)
    models: tuple[ModelField, ...] = ()
    resident_models: tuple[ModelField, ...] = ()
    metrics: Load = field(default_factory=Load)
    state: WorkerState = "ready"
    sessions: _Count = 0
    capacity: _Count = 4
    started_at: UnixMicros = UnixMicros(0)
    pulse_ms: _Count = 0
    model_languages: dict[ModelField, tuple[Language, ...]] = field(default_factory=dict)
    via: Annotated[str, Field(max_length=32)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCapabilities(Message):
    """Who are you? Answered by `WorkerDescribed`."""

    type: Literal["capabilities"] = "capabilities"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListModels(Message):
    """Which models have you? Answered by `ModelsListed` (an ASR worker: `WorkerDescribed`)."""

    type: Literal["list_models"] = "list_models"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadModel(Message):
    """Make this model resident."""

    model: ModelField
    type: Literal["load_model"] = "load_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnloadModel(Message):
    """Give this model's memory back; refused while it is in use."""

    model: ModelField
    type: Literal["unload_model"] = "unload_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadModel(Message):
    """Read the voice packs anew; a model that is named is loaded anew, as soon as nobody speaks with it."""

    model: ModelField | None = None
    type: Literal["reload"] = "reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(Message):
    """Take no new sessions, finish the current turns, end."""

    type: Literal["drain"] = "drain"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDescribed(Message):
    """The worker as it is now."""

    worker: Announcement
    type: Literal["described"] = "described"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model of a worker.

    Attributes:
        state: `known` could be loaded; `failed` could not: `reason` says why, `retry_in_ms` when it is tried again.
        users: sessions that hold it.
        idle_ms: since the last of them let it go; 0 while it is in use or not resident.
        memory_mb: measured at loading, else estimated by its voice pack; of an adapter, without its base.
        base: the model that it is an adapter of; its memory is shown there.
        shared_by: other models in memory whose base it is. While there is one, so are its weights, whatever its state.
        waiting: voices that wait now while another one computes with it.
    """

    model: ModelField
    state: ModelState
    title: Annotated[str, Field(max_length=200)] = ""
    languages: tuple[Language, ...] = ()
    licence: Annotated[str, Field(max_length=200)] = ""
    users: _Count = 0
    idle_ms: _Count = 0
    memory_mb: _Count = 0
    base: ModelField | None = None
    shared_by: _Count = 0
    waiting: _Count = 0
    is_default: bool = False
    reason: Reason = ""
    retry_in_ms: _Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsListed(Message):
    """All models of a worker, its default first."""

    worker: WorkerField
    models: tuple[ModelStatus, ...]
    type: Literal["models"] = "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse(Message):
    """The worker's loop is alive; sent every `pulse_ms` of its announcement. Whoever misses several calls it dead."""

    worker: WorkerField
    started_at: MicrosField
    type: Literal["pulse"] = "pulse"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRefused(Message):
    """Not done, and why."""

    code: Code
    reason: Reason
    type: Literal["refused"] = "refused"


WorkerCommand = Annotated[
    GetCapabilities | ListModels | LoadModel | UnloadModel | ReloadModel | Drain,
    Field(discriminator="type"),
]
