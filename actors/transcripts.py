"""What an ASR worker says to a session, made of what its model gave back."""

from math import isfinite
from typing import Final

from actors.asr import Transcribed
from protocol.audio import MIC_RATE
from protocol.hearing import FinalTranscript, HeardWord, PartialTranscript, Transcribe, TranscriptionFailed
from protocol.ids import Samples
from protocol.ports import Recognition

_MAX_TEXT: Final = 16_000
_MAX_WORD: Final = 200
_MAX_REASON: Final = 1_000
_WORST_LOGPROB: Final = -100.0


def failure(request: Transcribe, code: str, reason: str) -> TranscriptionFailed:
    """Why there is no transcript."""
    return TranscriptionFailed(session=request.session, request=request.request, code=code, reason=reason[:_MAX_REASON])


def transcript(done: Transcribed) -> PartialTranscript | FinalTranscript | TranscriptionFailed:
    """The outcome of a request; words are placed in the session's samples."""
    request, result = done.request, done.result
    if isinstance(result, str):
        return failure(request, "recognition-failed", result)
    kind = FinalTranscript if request.final else PartialTranscript
    return kind(
        session=request.session,
        request=request.request,
        first=request.first,
        end=request.end,
        text=result.text[:_MAX_TEXT],
        avg_logprob=result.avg_logprob if isfinite(result.avg_logprob) else _WORST_LOGPROB,
        no_speech_prob=_probability(result.no_speech_prob),
        compute_ms=done.compute_ms,
        words=_words(request, result),
    )


def _words(request: Transcribe, result: Recognition) -> tuple[HeardWord, ...]:
    def place(seconds: float) -> Samples:
        return Samples(min(request.end, max(request.first, request.first + round(seconds * MIC_RATE))))

    return tuple(
        HeardWord(
            text=word.text[:_MAX_WORD],
            first=place(word.start_s),
            end=place(word.end_s),
            probability=_probability(word.probability),
        )
        for word in result.words
    )


def _probability(value: float) -> float:
    return min(1.0, max(0.0, value)) if isfinite(value) else 0.0
