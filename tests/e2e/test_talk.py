"""The command line, as a user types it."""

import asyncio
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from protocol.conversation import Heard
from tests.clients.sound import Pcm16
from tests.clients.websocket import WebSocketClient
from tests.e2e.ears import words_heard, words_of
from tests.e2e.system import ROOT, System, antiphon, plain_environment
from tests.speech import joined, silence, spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

QUESTION = "What time does the train to the coast leave?"
_LIMIT_S = 40


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2)])
async def test_talk_answers_a_wav_file_with_a_wav_file(
    system: System, tmp_path: Path, rate: int, channels: int
) -> None:
    asked, answered = tmp_path / "question.wav", tmp_path / "answer.wav"
    mono = soxr.resample(joined(silence(0.3), spoken(QUESTION)), 16_000, rate)
    soundfile.write(asked, np.repeat(mono[:, None], channels, axis=1), rate)
    status, output = await _run("talk", "--url", system.url, "--in", str(asked), "--out", str(answered))
    assert status == 0, output
    assert {"train", "coast"} <= set(words_of(output)), "the transcript is printed"
    assert set(words_of(QUESTION)) <= set(await words_heard(*_read(answered)))


async def test_say_writes_speech_to_a_file(system: System, tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    status, output = await _run("say", "The boats are back.", "--url", system.url, "--out", str(file))
    assert status == 0, output
    assert await words_heard(*_read(file)) == ["the", "boats", "are", "back"]


async def test_say_reads_standard_input(system: System, tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    text = "The market opens at nine. Nobody is late."
    status, output = await _run("say", "-", "--url", system.url, "--out", str(file), given=text)
    assert status == 0, output
    assert {"market", "opens", "nobody", "late"} <= set(await words_heard(*_read(file)))


async def test_tap_shows_a_live_session(system: System, tmp_path: Path) -> None:
    file = tmp_path / "tapped.wav"
    async with await WebSocketClient.open(system.url) as client:
        tap = await asyncio.create_subprocess_exec(
            *antiphon("tap", client.session, "--nats", system.nats_url, "--wav", str(file)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=plain_environment(),
            cwd=ROOT,
        )
        assert tap.stdout is not None
        await asyncio.wait_for(tap.stdout.readline(), _LIMIT_S)  # it says what it listens to, once it does
        await client.say("The boats are back.")
        await client.event(Heard)
        tap.send_signal(signal.SIGINT)
        output = (await asyncio.wait_for(tap.communicate(), _LIMIT_S))[0].decode()
    assert tap.returncode in (0, 130), output
    for expected in ("text", "state", "SPEAKING", "playout", "heard"):
        assert re.search(rf"\b{expected}\b", output), f"{expected} in:\n{output}"


async def test_a_gateway_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    status, output = await _run("say", "Hello.", "--url", url, "--out", str(tmp_path / "x.wav"))
    assert status != 0
    assert "127.0.0.1:9" in output
    assert "Traceback" not in output


async def test_an_unknown_voice_is_refused_with_those_that_exist(system: System, tmp_path: Path) -> None:
    status, output = await _run(
        "say", "Hello.", "--url", system.url, "--voice", "nobody", "--out", str(tmp_path / "x.wav")
    )
    assert status != 0
    assert "hibari-heart" in output
    assert "Traceback" not in output


async def _run(*arguments: str, given: str = "") -> tuple[int, str]:
    """Status and everything printed."""
    process = await asyncio.create_subprocess_exec(
        *antiphon(*arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=plain_environment(),
        cwd=ROOT,
    )
    output, _ = await asyncio.wait_for(process.communicate(given.encode()), _LIMIT_S)
    assert process.returncode is not None
    return process.returncode, output.decode()


def _read(file: Path) -> tuple[Pcm16, int]:
    samples, rate = soundfile.read(file, dtype="int16", always_2d=True)
    return samples[:, -1], rate
