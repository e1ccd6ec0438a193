"""A conversation in a real browser with the whole system: a WAV speaks, and what the browser plays is listened to."""

from pathlib import Path

import numpy as np
import pytest

from protocol.audio import SPEECH_RATE
from protocol.ports import Pcm
from tests.bench.interruption import LONG_REPLY
from tests.clients.sound import Pcm16, is_audible
from tests.e2e.browser import Mark, TalkPage, microphone_wav, talk_page
from tests.e2e.ears import words_in, words_of
from tests.e2e.system import System
from tests.speech import mm_hm, silence, spoken

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.models, pytest.mark.realtime]

TIME_TO_CONNECT_S = 6.0
"""Before the first sound of the microphone's, which runs from the moment it is opened."""
TIME_TO_BEGIN_S = 10.0
"""So late that the page has connected, was asked to speak, and does."""
REPLY = "The boats come back one after another, and people stand on the pier and wait for what the night has given."
_SLACK = SPEECH_RATE // 4
"""The recorder's block and the browser's own buffers: how far a mark may lie beside its sound."""


def _microphone(tmp_path: Path, after_s: float, sound: Pcm) -> Path:
    return microphone_wav(tmp_path / "microphone.wav", silence(after_s, SPEECH_RATE), sound, silence(20, SPEECH_RATE))


def _between(samples: Pcm16, marks: list[Mark], first: str, then: str) -> Pcm16:
    """From the page's showing the one state until it shows the next after it, without the slack at both ends."""
    begin = next(mark.at for mark in marks if mark.state == first)
    end = next((mark.at for mark in marks if mark.state == then and mark.at > begin), len(samples))
    return samples[begin + _SLACK : end - _SLACK]


async def test_a_spoken_question_is_written_down_and_its_answer_is_heard(system: System, tmp_path: Path) -> None:
    question = spoken("Tell me about the boats in the harbor.", SPEECH_RATE)
    async with talk_page(system.url, _microphone(tmp_path, TIME_TO_CONNECT_S, question)) as talk:
        await talk.start()
        await talk.record()
        assert {"boats", "harbor"} <= set(words_of(await talk.shows(".user:not(.open) .heard", "boats")))
        assert {"boats", "harbor"} <= set(words_of(await talk.shows(".machine .heard", "boats")))
        await talk.reaches("SPEAKING")
        await talk.shows(".machine:not(.open) .heard", "boats")
        await talk.reaches("LISTENING")
        await talk.shows("#latencies-list", "from your last word to the reply")
        await _a_moment_passes(talk)
        assert {"boats", "harbor"} <= set(words_in(await talk.recorded()))
        assert talk.complaints == []


async def test_a_spoken_interruption_silences_the_reply_and_is_shown(system: System, tmp_path: Path) -> None:
    microphone = _microphone(tmp_path, TIME_TO_BEGIN_S, spoken("Wait, stop please.", SPEECH_RATE))
    async with talk_page(system.url, microphone) as talk:
        await talk.start()
        await talk.record()
        await talk.say(LONG_REPLY)
        await talk.reaches("SPEAKING")
        await talk.until("recording.level(0.5) > 0.003")
        unheard = await talk.shows(".machine .unheard:not([hidden]) .unheard-text")
        heard = await talk.page.inner_text(".machine .heard")
        await _a_moment_passes(talk)

        marks = await talk.marks()
        assert _states(marks)[_states(marks).index("SPEAKING") :][:3] == ["SPEAKING", "BARGED_IN", "LISTENING"]
        assert words_of(heard + " " + unheard) == words_of(LONG_REPLY)
        await talk.shows(".machine .remark", "Interrupted")
        await talk.shows(".user .heard", "stop")
        samples = await talk.recorded()
        silent = _between(samples, marks, "BARGED_IN", "SPEAKING")
        assert len(silent) > _SLACK
        assert not is_audible(silent, SPEECH_RATE), "nothing of the reply is played any more"
        assert is_audible(_between(samples, marks, "SPEAKING", "BARGED_IN"), SPEECH_RATE)


async def test_a_hum_holds_the_reply_and_it_goes_on_to_its_end(system: System, tmp_path: Path) -> None:
    async with talk_page(system.url, _microphone(tmp_path, TIME_TO_BEGIN_S, mm_hm(SPEECH_RATE))) as talk:
        await talk.start()
        await talk.record()
        await talk.say(f"{REPLY} {REPLY}")
        await talk.reaches("SPEAKING")
        await talk.shows(".machine:not(.open) .heard", REPLY, timeout_ms=40_000)
        await _a_moment_passes(talk)

        states = _states(await talk.marks())
        assert states[states.index("SPEAKING") :][:4] == ["SPEAKING", "BARGED_IN", "SPEAKING", "LISTENING"]
        assert await talk.page.locator(".machine .unheard").is_hidden()
        played = words_in(await talk.recorded())
        expected = words_of(f"{REPLY} {REPLY}")
        assert abs(len(played) - len(expected)) <= 3, "nothing is missing, nothing is said twice"
        assert played[-3:] == expected[-3:]


def _states(marks: list[Mark]) -> list[str]:
    return [mark.state for mark in marks]


async def _a_moment_passes(talk: TalkPage) -> None:
    """A second more is recorded: what should not come gets time to come, what is under way arrives."""
    begin = float(await talk.page.evaluate("recording.seconds"))
    await talk.until(f"recording.seconds > {np.ceil(begin + 1)}")


async def test_a_gateway_that_is_killed_is_missed_at_once_and_found_again(system: System, tmp_path: Path) -> None:
    async with talk_page(system.url, _microphone(tmp_path, 0.0, silence(1, SPEECH_RATE))) as talk:
        await talk.start()
        killed_at = float(await talk.page.evaluate("performance.now()"))
        system.parts()["gateway"].kill()
        assert await talk.has_shown("reconnecting") - killed_at < 7_000  # the browser alone needs nine seconds
        await talk.shows(".note", "This is a new one")
        await talk.reaches("LISTENING")
        await talk.say("Back again.")
        await talk.shows(".machine:not(.open) .heard", "Back again.")
    assert system.is_ready(), "for the tests after this one"
