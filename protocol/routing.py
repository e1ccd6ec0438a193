"""Which worker shall serve this? Asked on `control.router.route`; any router of the queue group answers."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from protocol.ids import ModelField, WorkerField
from protocol.message import Code, Language, Message, Reason
from protocol.workers import WorkerKind

WhenCold = Literal["wait", "fallback", "refuse"]
"""What becomes of a request for a model that is resident nowhere: wait until it is loaded, speak with another one
meanwhile, or hear that it isn't there. In the first two cases the best worker is asked to load it."""

Need = Literal["streaming", "zero_shot", "lora", "cpu_ok", "emotive_zero_prompt"]
"""A capability that a worker must announce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Message):
    """Find a worker.

    Attributes:
        model: None takes the deployment's default.
        avoid: workers that are out of the question, e.g. because they have just refused.
        explain: name every candidate, and why it lost; nobody is sent there, and nothing is loaded.
    """

    kind: WorkerKind = "tts"
    model: ModelField | None = None
    language: Language = "en"
    needs: tuple[Need, ...] = ()
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] | None = None
    when_cold: WhenCold = "fallback"
    avoid: tuple[WorkerField, ...] = ()
    explain: bool = False
    type: Literal["route"] = "route"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A worker that was looked at; `verdict` is `chosen`, or the code of the rule by which it lost."""

    worker: WorkerField
    verdict: Code
    reason: Reason
    resident: bool = False
    queue_depth: Annotated[int, Field(ge=0)] = 0
    sessions: Annotated[int, Field(ge=0)] = 0
    capacity: Annotated[int, Field(ge=0)] = 0
    p50_first_audio_ms: Annotated[float, Field(ge=0.0)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed(Message):
    """Found. The worker itself grants the place (`StartSpeaking`): no router can overfill it.

    Attributes:
        instead_of: the model that was asked for and is resident nowhere; `model` is spoken with until it is.
        left_off: how many more candidates there are than the answer names.
    """

    worker: WorkerField
    model: ModelField | None
    resident: bool
    instead_of: ModelField | None = None
    candidates: tuple[Candidate, ...] = ()
    left_off: Annotated[int, Field(ge=0)] = 0
    type: Literal["routed"] = "routed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRefused(Message):
    """Nobody can; with `explain`, why each one can't."""

    code: Code
    reason: Reason
    candidates: tuple[Candidate, ...] = ()
    left_off: Annotated[int, Field(ge=0)] = 0
    type: Literal["not_routed"] = "not_routed"
