"""The worker with the real voices: exact around pauses, heard soon, equally loud."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from adapters.audio.framing import as_pcm
from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import find_packs
from protocol.audio import SPEECH_FRAME
from protocol.ports import Pcm, Synthesizer
from protocol.speaking import PhrasePlaced, SpeechBegan, SpeechFinished
from tests.actors.tts_stage import Client, Stage, a_stage

pytestmark = pytest.mark.models
PIECES = ("Well, that depends,", "because there are many ways to get from here to the station.")


@cache
def _packed(model: str) -> Synthesizer:
    pack = next(pack for pack in find_packs().good if pack.model_id == model)
    return load_synthesizer(pack)


class Lent:
    """A synthesizer that several workers use one after the other: closing it gives nothing back."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer = synthesizer
        self.synthesize = synthesizer.synthesize
        self.sample_rate = synthesizer.sample_rate
        self.model = synthesizer.model

    def close(self) -> None:
        return


@pytest.fixture(params=["hibari-heart", "piper-joe"])
def voice(request: pytest.FixtureRequest) -> Synthesizer:
    if request.param.startswith("piper"):
        pytest.importorskip("piper", reason="Piper is an extra")
    return Lent(_packed(request.param))


async def spoken(stage: Stage, client: Client, disturb: Callable[[int], bool] = lambda _: False) -> Pcm:
    """A turn in two pieces; where `disturb` says so, it is paused for half a second after that frame."""
    await stage.say(client, *PIECES)
    disturbed_at = 0
    while not client.gate.finished:
        await stage.play(1)
        heard = len(client.heard)
        if heard > disturbed_at and disturb(heard) and not client.gate.finished:
            disturbed_at = heard
            await stage.pause(client)
            await stage.play(25)
            await stage.resume(client)
    return client.sound()


async def test_pauses_lose_and_repeat_nothing(voice: Synthesizer) -> None:
    async with a_stage(voice) as stage:
        expected = await spoken(stage, await stage.client("calm"))
        disturbed = await spoken(stage, await stage.client("disturbed"), lambda heard: heard % 7 == 3)
        assert np.array_equal(disturbed, expected)


async def test_every_word_is_placed_by_the_model_within_its_phrase(voice: Synthesizer) -> None:
    async with a_stage(voice) as stage:
        client = await stage.client()
        await spoken(stage, client)
        done = [placed for placed in stage.events(client, PhrasePlaced) if placed.end is not None]
        assert [placed.text for placed in done] == list(PIECES)
        for placed in done:
            assert placed.exact
            assert [word.text for word in placed.words] == placed.text.split()
            assert placed.end is not None
            assert placed.first <= placed.words[0].first
            assert placed.words[-1].end <= placed.end
        (finished,) = stage.events(client, SpeechFinished)
        assert 0 <= finished.samples - (done[-1].end or 0) < SPEECH_FRAME


async def test_the_first_frames_are_audible(voice: Synthesizer) -> None:
    async with a_stage(voice) as stage:
        client = await stage.client()
        await stage.say(client, *PIECES)
        assert stage.events(client, SpeechBegan)
        first = as_pcm(b"".join(frame.pcm for frame in client.got[:3])).reshape(-1, 240)
        assert np.square(first).mean(axis=1).max() > 10.0**-5
