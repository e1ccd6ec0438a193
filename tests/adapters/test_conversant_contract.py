"""What every Conversant promises: the model that converses, the fake one, and what imitates a recording with either."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pytest

from protocol.errors import SynthesisFailed
from protocol.ports import Conversant, ConversingVoice, Pcm, PcmChunk, Reference, Synthesizer
from tests.adapters.csm_stage import sound_of
from tests.adapters.synthesizers import ADAPTERS
from tests.fakes import conversant as fake
from tests.fakes.conversant import FakeConversant

ASKED: Final = "What may it be?"
GOOD, MORE, LATE = "Good morning.", "Anything else?", "It is late."
LONG: Final = " ".join(["And so on,"] * 20)
"""Some ten seconds, without a pause in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Attributes: `make` loads it, once for all tests; `turns` and `seconds` bound what it remembers."""

    name: str
    make: Callable[[], Any]
    turns: int
    seconds: int
    heavy: bool = False


def _imitating(make: Callable[[], Any]) -> Callable[[], Any]:
    @cache
    def imitating() -> Any:
        pcm = np.random.default_rng(1).normal(0, 0.1, 24_000).astype(np.float32)
        return make().imitate(Reference(pcm=pcm, sample_rate=24_000, text="That is how I speak."))

    return imitating


_fake = cache(FakeConversant)
_csm: Final = next(adapter.make for adapter in ADAPTERS if adapter.name == "csm")
CASES: Final = (
    Case(name="fake", make=_fake, turns=fake.TURNS, seconds=fake.SECONDS),
    Case(name="fake-imitating", make=_imitating(_fake), turns=fake.TURNS, seconds=fake.SECONDS),
    Case(name="csm", make=_csm, turns=4, seconds=20, heavy=True),
    Case(name="csm-imitating", make=_imitating(_csm), turns=4, seconds=20, heavy=True),
)


@pytest.fixture(
    params=[
        pytest.param(case, id=case.name, marks=[pytest.mark.heavy, pytest.mark.timeout(600)] if case.heavy else [])
        for case in CASES
    ]
)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def voice(case: Case) -> Any:
    return case.make()


@pytest.fixture
def talk(voice: Conversant) -> Iterator[Any]:
    talk = voice.converse()
    yield talk
    talk.close()


def speak(voice: Synthesizer, text: str) -> Iterator[PcmChunk]:
    return iter(voice.synthesize(text, language="en", speed=1.0))


def said(voice: Synthesizer, text: str) -> Pcm:
    return sound_of(list(speak(voice, text)))


def after(voice: Conversant, *turns: str) -> Pcm:
    """What it says when asked, after these were heard."""
    talk = voice.converse()
    for turn in turns:
        said(talk, turn)
        talk.commit()
    sound = said(talk, ASKED)
    talk.close()
    return sound


def test_a_conversation_is_a_voice_of_the_same_model(voice: Any, talk: ConversingVoice) -> None:
    own: Synthesizer = voice
    assert isinstance(voice, Conversant)
    assert (talk.model, talk.sample_rate) == (own.model, own.sample_rate)
    assert np.array_equal(said(talk, ASKED), said(own, ASKED))


def test_what_was_said_changes_what_is_said_next_and_the_same_again_the_same_way(voice: Any) -> None:
    second = after(voice, GOOD)
    assert not np.array_equal(second, after(voice))
    assert not np.array_equal(second, after(voice, MORE))
    assert np.array_equal(second, after(voice, GOOD))
    assert np.array_equal(after(voice), said(voice, ASKED)), "no conversation leaves anything in the model"


def test_a_turns_own_phrases_are_heard_by_its_next_ones(voice: Any, talk: ConversingVoice) -> None:
    said(talk, GOOD)
    assert np.array_equal(said(talk, ASKED), after(voice, GOOD))


@pytest.mark.parametrize("times", [1, 2])
def test_a_turn_that_was_taken_back_leaves_no_trace(voice: Any, talk: ConversingVoice, times: int) -> None:
    said(talk, GOOD)
    talk.commit()
    said(talk, MORE)
    said(talk, LATE)
    for _ in range(times):
        talk.retract()
    assert np.array_equal(said(talk, ASKED), after(voice, GOOD))


def test_what_was_committed_is_not_taken_back(voice: Any, talk: ConversingVoice) -> None:
    said(talk, GOOD)
    talk.commit()
    talk.commit()
    talk.retract()
    assert np.array_equal(said(talk, ASKED), after(voice, GOOD))


def test_a_phrase_that_was_broken_off_leaves_no_trace(voice: Any, talk: ConversingVoice) -> None:
    said(talk, GOOD)
    for chunks in (1, 3):
        going: Any = speak(talk, "One of two sentences. And the other one, which is never said.")
        for _ in range(chunks):
            next(going)
        going.close()
    talk.commit()
    assert np.array_equal(said(talk, ASKED), after(voice, GOOD))


def test_only_the_latest_turns_are_remembered(case: Case, talk: Any) -> None:
    before = len(talk.context)
    for _ in range(case.turns + 2):
        said(talk, GOOD)
        said(talk, MORE)
        talk.commit()
    assert len(talk.context) == before + 2 * case.turns


def test_no_more_than_so_many_seconds_are_remembered(case: Case, talk: Any) -> None:
    before = len(talk.context)
    seconds = len(said(talk, LONG)) / talk.sample_rate
    fitting = int(case.seconds / seconds)
    assert fitting >= 1
    for _ in range(fitting):
        said(talk, LONG)
    assert len(talk.context) == before + fitting, "of one turn"
    talk.commit()
    said(talk, LONG)
    assert len(talk.context) == before + fitting, "of two"


def test_two_conversations_do_not_hear_each_other(voice: Any) -> None:
    """Chunk by chunk at the same time, and beside somebody who has none."""
    course = [(GOOD, MORE), (LATE, GOOD), (ASKED, LATE)]
    talks = [voice.converse(), voice.converse(), voice]
    heard: list[list[list[PcmChunk]]] = [[], [], []]
    for turn in range(2):
        going = {i: speak(talk, course[i][turn]) for i, talk in enumerate(talks)}
        for spoken in heard:
            spoken.append([])
        while going:
            for i in tuple(going):
                if (chunk := next(going[i], None)) is None:
                    del going[i]
                else:
                    heard[i][turn].append(chunk)
    for i in range(2):
        alone = voice.converse()
        for turn, text in enumerate(course[i]):
            assert np.array_equal(sound_of(heard[i][turn]), said(alone, text))
        alone.close()
        talks[i].close()
    assert np.array_equal(sound_of(heard[2][1]), said(voice, LATE))


def test_a_closed_conversation_has_forgotten_all_and_the_model_goes_on(voice: Any) -> None:
    talk = voice.converse()
    said(talk, GOOD)
    talk.close()
    assert talk.context == ()
    with pytest.raises(SynthesisFailed, match="closed"):
        said(talk, ASKED)
    assert said(voice, ASKED).size
