"""What the actors need from the world, and what the world may ask of them. Adapters implement these.

"On the loop" means: called on the process's one asyncio event loop and returns without waiting. "On a thread" means:
called on the actor's own thread and may compute.
"""

from protocol.ports.bus import Bus, OnFrame, OnMessage, Respond, Subscription
from protocol.ports.clients import ClientLink, Conversation, ConversationHost, GatewayConnection, Readiness
from protocol.ports.directory import SessionDirectory
from protocol.ports.hearing import (
    Recognition,
    RecognizedWord,
    SpeechRecognizer,
    VoiceActivityModel,
    VoiceActivityStream,
)
from protocol.ports.memory import MemoryMeter, MemoryUse
from protocol.ports.references import ReferenceDesk, ReferenceStore
from protocol.ports.replying import ChatMessage, ReplyGenerator
from protocol.ports.sharing import SharesBase
from protocol.ports.sound import Pcm
from protocol.ports.speaking import (
    Calibrate,
    Cloner,
    Conversant,
    ConversingVoice,
    PcmChunk,
    PiecePlace,
    Reference,
    SpeechShaper,
    SpokenStream,
    StreamedChunk,
    Synthesizer,
    TextStreamer,
    WordSpan,
)
from protocol.ports.workers import WorkerFleet, WorkerRegistry, WorkerView

__all__ = [
    "Bus",
    "Calibrate",
    "ChatMessage",
    "ClientLink",
    "Cloner",
    "Conversant",
    "Conversation",
    "ConversationHost",
    "ConversingVoice",
    "GatewayConnection",
    "MemoryMeter",
    "MemoryUse",
    "OnFrame",
    "OnMessage",
    "Pcm",
    "PcmChunk",
    "PiecePlace",
    "Readiness",
    "Recognition",
    "RecognizedWord",
    "Reference",
    "ReferenceDesk",
    "ReferenceStore",
    "ReplyGenerator",
    "Respond",
    "SessionDirectory",
    "SharesBase",
    "SpeechRecognizer",
    "SpeechShaper",
    "SpokenStream",
    "StreamedChunk",
    "Subscription",
    "Synthesizer",
    "TextStreamer",
    "VoiceActivityModel",
    "VoiceActivityStream",
    "WordSpan",
    "WorkerFleet",
    "WorkerRegistry",
    "WorkerView",
]
