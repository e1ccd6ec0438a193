"""A user at a real client, in a process of its own: what she hears and when."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final, Literal, TypeVar

import uvloop

from protocol.audio import MIC_RATE, SPEECH_RATE
from protocol.conversation import SessionConfig
from tests.clients.sound import as_samples, is_audible
from tests.clients.webrtc import WebRtcClient
from tests.clients.websocket import WebSocketClient

Transport = Literal["websocket", "webrtc"]
Client = WebSocketClient | WebRtcClient
Job = TypeVar("Job")
Result = TypeVar("Result")

TRANSPORTS: Final[tuple[Transport, ...]] = ("websocket", "webrtc")
HEAD_START_S: Final = 4.0
"""Callers import, connect and wait: none of them measures while another one still starts."""


async def connect(transport: Transport, url: str, config: SessionConfig) -> Client:
    """Dial."""
    if transport == "webrtc":
        return await WebRtcClient.open(url, config)
    return await WebSocketClient.open(url, config)


def audible_times(client: Client, since: float = 0.0) -> list[float]:
    """When each frame or packet came that holds something to be heard."""
    if isinstance(client, WebRtcClient):
        sounds = [(packet.at, packet.samples) for packet in client.received]
    else:
        sounds = [(one.at, as_samples(one.frame.pcm)) for one in client.received if one.is_speech]
    return [at for at, samples in sounds if at >= since and is_audible(samples, SPEECH_RATE)]


def lateness_ms(arrivals: Sequence[tuple[float, int]]) -> float:
    """How much too late the latest came for a client that plays each as long after the first as it stands behind it.

    Of each: when it came, and where its first sample stands (48 kHz). A jitter buffer of that length hides it.
    """
    (first_at, first), *_ = arrivals
    return max(0.0, *((at - first_at) * 1000 - (here - first) * 1000 / SPEECH_RATE for at, here in arrivals))


def audible_arrivals(client: Client, since: float) -> list[tuple[float, int]]:
    """When what is to be heard of one turn came, and where it stands in the turn or in the stream (48 kHz)."""
    if isinstance(client, WebRtcClient):
        came = [(one.at, one.timestamp, one.samples) for one in client.received if one.at >= since]
    else:
        speech = [one for one in client.received if one.at >= since and one.is_speech]
        came = [(one.at, one.frame.position, as_samples(one.frame.pcm)) for one in speech]
    return [(at, here) for at, here, samples in came if is_audible(samples, SPEECH_RATE)]


async def left_at(client: Client, position: int) -> float:
    """When the frame with this microphone sample left, once it has."""
    while True:
        missing = position + 1 - client.microphone.position
        if missing <= 0:
            return client.microphone.left_at(position)
        await asyncio.sleep(missing / MIC_RATE)


async def call_at_once(call: Callable[[float, Job], Coroutine[Any, Any, Result]], jobs: Sequence[Job]) -> list[Result]:
    """Run `call(begin_at, job)` in a process for each job; all are to begin at that moment."""
    loop = asyncio.get_running_loop()
    begin_at = time.monotonic() + HEAD_START_S
    with ProcessPoolExecutor(len(jobs), mp_context=multiprocessing.get_context("spawn")) as pool:
        calls = [loop.run_in_executor(pool, _run, call, begin_at, job) for job in jobs]
        return list(await asyncio.gather(*calls))


def _run(call: Callable[[float, Job], Coroutine[Any, Any, Result]], begin_at: float, job: Job) -> Result:
    return uvloop.run(call(begin_at, job))


async def until(begin_at: float) -> None:
    """Wait for the common beginning."""
    await asyncio.sleep(begin_at - time.monotonic())
