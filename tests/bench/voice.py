"""Voice to voice: last sample of the user's speech leaves a real client → first audible sample of the reply reaches it.

Echo reply. Callers over WebSocket and WebRTC, each in a process of its own; each asks every 10 s, in turn.
A last caller makes a pause in the middle of each question: `answered_early` says how often (in per cent) the reply
began before the question was over.

Silence is inserted into a reply where a packet comes later than the client can wait for (`lateness`, the worst of a
reply against its first packet) or the gateway has none to send (`silence_from_gateway`, of each second of speech).
"""

import time
from dataclasses import dataclass
from typing import Final

from protocol.audio import FRAME_MS
from protocol.conversation import SessionConfig, StateChanged, TurnMeasured
from protocol.measures import GatewayMeasures
from protocol.ports import Pcm
from tests.bench.caller import (
    TRANSPORTS,
    Client,
    Transport,
    audible_arrivals,
    audible_times,
    call_at_once,
    connect,
    lateness_ms,
    left_at,
    until,
)
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.bench.tap import Tap
from tests.speech import joined, silence, spoken

RUNS = 8
SESSIONS = (1, 3)
EVERY_S: Final = 10.0
_LIMIT_S: Final = 15.0
_BREATH_S: Final = 0.5
QUESTIONS: Final = (
    "What time does the train to the coast leave?",
    "Can you tell me where the old bridge is?",
    "How many people live in this town?",
    "Is there a good place to eat near here?",
)
HALVES: Final = (
    ("Can you tell me", "how many people live in this town?"),
    ("I would like to know", "what time the train leaves."),
)
PAUSES_S: Final = (0.3, 0.4, 0.5)


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, answered: when, and what the session says of its own part."""

    voice_ms: float
    lateness_ms: float
    latencies_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Job:
    url: str
    transport: Transport
    questions: list[Pcm]
    runs: int
    offset: float


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """At 1 and 3 callers."""
    tap = await Tap.connect(target.nats_url)
    try:
        await _measure(target, options, findings, await tap.gateways())
    finally:
        await tap.close()


async def _measure(target: Target, options: Options, findings: Findings, told: list[GatewayMeasures]) -> None:
    questions = [spoken(text) for text in QUESTIONS]
    for transport in TRANSPORTS:
        for sessions in options.sessions or SESSIONS:
            name = f"{transport}_{sessions}_sessions"
            runs = options.runs or RUNS
            jobs = [_Job(target.url, transport, questions, runs, n / sessions) for n in range(sessions)]
            told.clear()
            for answer in [a for answers in await call_at_once(_caller, jobs) for a in answers]:
                findings.add(f"{name}_voice_to_voice", answer.voice_ms)
                findings.add(f"{name}_lateness", answer.lateness_ms)
                for part, took in answer.latencies_ms.items():
                    findings.add(f"{name}_{part}", took)
            for speech in [measures.speech for measures in told if measures.speech is not None]:
                findings.add(f"{name}_silence_from_gateway", speech.silent * FRAME_MS)
    halting = [joined(spoken(a), silence(p), spoken(b)) for a, b in HALVES for p in PAUSES_S]
    for answers in await call_at_once(_caller, [_Job(target.url, "websocket", halting, len(halting), 0.0)]):
        for answer in answers:
            findings.add("question_with_a_pause_voice_to_voice", answer.voice_ms)
            findings.add("answered_early", 100.0 * (answer.voice_ms < 0), "%")


async def _caller(begin_at: float, job: _Job) -> list[Answer]:
    async with await connect(job.transport, job.url, SessionConfig()) as client:
        answers = []
        for run in range(job.runs):
            await until(max(begin_at + (run + job.offset) * EVERY_S, time.monotonic() + _BREATH_S))
            answers.append(await _ask(client, job.questions[run % len(job.questions)]))
        return answers


async def _ask(client: Client, question: Pcm) -> Answer:
    since, begin = client.mark(), time.monotonic()
    first = client.microphone.say(question)
    asked = await left_at(client, first + len(question) - 1)
    answered = audible_times(client, begin)
    if not answered:
        answered = await client.until(lambda: audible_times(client, begin) or None, _LIMIT_S)
    await client.until(lambda: _is_over(client, since), _LIMIT_S)
    measured = client.events(TurnMeasured, since=since)
    lateness = lateness_ms(audible_arrivals(client, answered[0]))
    return Answer((answered[0] - asked) * 1000, lateness, measured[-1].latencies_ms if measured else {})


def _is_over(client: Client, since: int) -> bool | None:
    """Whether a reply was spoken and the user has the floor again."""
    states = [m.state for m in client.events(StateChanged, since=since)]
    return ("SPEAKING" in states and states[-1] == "LISTENING") or None
