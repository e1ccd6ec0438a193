"""What is told of each open session in the key-value bucket `sessions`: where it stands, never what is said in it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from protocol.conversation import State
from protocol.ids import TOKEN_PATTERN, MicrosField, ModelField, SessionField, TurnField, WorkerField
from protocol.message import Language

_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """A session, as operators see it, and who would take it over.

    Attributes:
        gateway: the name of the one that holds it.
        tts_worker: who speaks for it, or did last; `asr_worker` who listens.
        turn: the newest reply that was begun; 0 before the first.
        history: messages that its memory holds, without the deployment's prompt. Their texts are nowhere here.
        updated_at: when one of these last changed; an entry that is merely renewed keeps it.
    """

    session: SessionField
    gateway: Annotated[str, Field(pattern=TOKEN_PATTERN)]
    state: State
    turn: TurnField
    history: _Count
    language: Language
    tts_worker: WorkerField | None
    tts_model: ModelField | None
    asr_worker: WorkerField | None
    opened_at: MicrosField
    updated_at: MicrosField
