"""The numbers of turn-taking, with their defaults; change one only with a measurement."""

from dataclasses import dataclass
from typing import Final

from protocol.conversation import BargeIn
from protocol.ids import Millis

RECOGNIZER_RETURN_MS: Final = Millis(20_000)
"""`antiphon up` brings a killed worker back in 2 to 3 s (13 s were seen on a machine with four times the work that it
can do), and its first transcript takes up to one more. Nobody waits longer for an answer than for a slow reply
(`reply_timeout_ms`), and of the 30 s of sound that are kept (`actors.policies.kept_sound.KEPT`) ten are left for what
was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTakingSettings:
    """How one session takes turns.

    Attributes:
        barge_in: what stops a reply: `words`, `any_speech`, or only speech without silence (`resume_on_silence`).
        end_of_turn_ms: silence after "speech stopped" that ends the user's turn, unless the text says otherwise.
        resume_delay_ms: silence after "speech stopped" before a reply that was not really interrupted goes on.
        tentative_hold: whether the first window over the detector's threshold closes the gate already.
        tentative_hold_limit_ms: a tentative hold opens by itself then, should the detector's next word be lost.
        wordless_limit_ms: the longest time that a reply waits for the meaning of what interrupted it.
        first_partial_ms: speech over a reply that is worth a first partial transcript.
        next_partial_ms: more speech that is worth another one, once the last one is back.
        end_slack_ms: a transcript that lacks no more than this of the speech is complete.
        surely_meant_ms: speech as long as this is no backchannel, even if nobody can transcribe it.
        transcript_timeout_ms: then a transcript is asked for again, and the second time given up.
        recognizer_return_ms: how long, from its loss, what was said waits for a worker that can transcribe it.
        whole_utterance_ms: an utterance up to this length is transcribed again from its beginning at each pause.
        reply_timeout_ms: for the first frame of a reply, and for the next text of one that has not ended.
        stall_nudge_ms: a voice that falls silent for this long, though it should go on, is asked to.
        first_nudge_ms: the same for one that has not begun.
        stall_limit_ms: then it is given up; a voice that lives and is slow may need long for its next clause.
        voice_return_ms: how long a reply waits for its voice's worker to come back.
        listener_return_ms: how long a reply waits for a client that takes no sound.
        say_idle_ms: a `say` whose next piece does not come within this time has ended.
        prepare: whether a reply is prepared at the likely end of speech.
        apology: spoken when a reply fails; empty: nothing is spoken.
    """

    barge_in: BargeIn = "words"
    end_of_turn_ms: Millis = Millis(500)
    resume_delay_ms: Millis = Millis(250)
    tentative_hold: bool = True
    language: str = "en"
    tentative_hold_limit_ms: Millis = Millis(250)
    wordless_limit_ms: Millis = Millis(2_500)
    first_partial_ms: Millis = Millis(350)
    next_partial_ms: Millis = Millis(250)
    end_slack_ms: Millis = Millis(120)
    surely_meant_ms: Millis = Millis(1_000)
    transcript_timeout_ms: Millis = Millis(3_000)
    recognizer_return_ms: Millis = RECOGNIZER_RETURN_MS
    whole_utterance_ms: Millis = Millis(20_000)
    reply_timeout_ms: Millis = Millis(20_000)
    stall_nudge_ms: Millis = Millis(400)
    first_nudge_ms: Millis = Millis(1_000)
    stall_limit_ms: Millis = Millis(20_000)
    voice_return_ms: Millis = Millis(10_000)
    listener_return_ms: Millis = Millis(60_000)
    say_idle_ms: Millis = Millis(10_000)
    prepare: bool = True
    apology: str = ""
