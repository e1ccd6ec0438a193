"""CSM in the course of a conversation; what every voice that converses promises is in test_conversant_contract.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.tts.loading import load_synthesizer
from tests.adapters.csm_stage import TEXT, pack_of, sound_of, speak, tiny_packs

pytest.importorskip("torch")
pytest.importorskip("peft")
from adapters.tts.csm_conversation import Context
from adapters.tts.csm_prompt import Utterance, prompt, prompt_within

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def csm_packs() -> Path:
    return tiny_packs()


@pytest.fixture(scope="module")
def voice(csm_packs: Path) -> Iterator[Any]:
    loaded = load_synthesizer(pack_of(csm_packs, "csm-tiny"))
    yield loaded
    loaded.close()


def test_what_was_said_changes_what_is_said_next(voice: Any) -> None:
    talk = voice.converse()
    first = sound_of(list(speak(talk, "Well.")))
    assert np.array_equal(first, sound_of(list(speak(voice, "Well."))))
    assert not np.array_equal(sound_of(list(speak(talk, "Well."))), first)
    assert [said.text for said in talk.context] == ["Well.", "Well."]
    talk.close()
    assert talk.context == ()
    assert np.array_equal(sound_of(list(speak(voice, "Well."))), first)


def test_context_is_what_the_chat_template_makes_of_it(voice: Any) -> None:
    processor = voice._base.loaded.processor
    said = (Utterance(0, "Hi.", np.zeros(3 * 1_920, np.float32)), Utterance(1, "Yes?", np.zeros(1_920, np.float32)))
    told = prompt(processor, said, "Good.", speaker=0, device="cpu")
    read = processor.tokenizer.decode(told["input_ids"][0])
    begin, end, frame = "<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>"
    assert read.replace(" ", "") == (
        f"{begin}[0]Hi.{end}{frame * 3}<|audio_eos|>{begin}[1]Yes?{end}{frame}<|audio_eos|>{begin}[0]Good.{end}"
    )
    assert told["input_values_cutoffs"].tolist() == [[3 * 1_920, 4 * 1_920]]


def test_a_broken_off_phrase_is_not_remembered(voice: Any) -> None:
    talk = voice.converse()
    going = speak(talk, TEXT)
    next(going)
    going.close()
    assert talk.context == ()


def test_context_is_bounded_in_turns_and_in_seconds() -> None:
    second = np.zeros(24_000, np.float32)
    first = Utterance(0, "I am the voice", np.concatenate([second] * 30))
    context = Context(turns=3, seconds=2.5, first=(first,))
    for text in "abcd":
        context.add(Utterance(0, text, second))
    assert context.first == (first,)
    assert [said.text for said in context.said()] == ["c", "d"]
    few = Context(turns=1, seconds=60)
    for text in "abcd":
        few.add(Utterance(0, text, second))
        few.commit()
    assert [said.text for said in few.said()] == ["d"]


def test_turns_are_counted_with_the_present_one_and_not_phrases() -> None:
    context = Context(turns=2, seconds=60)
    for turn in ("ab", "", "cd", "ef"):
        for text in turn:
            context.add(Utterance(0, text, np.zeros(9, np.float32)))
        assert "".join(said.text for said in context.said()) in ("ab", "abcd", "cdef")
        context.commit()
    assert [said.text for said in context.said()] == ["c", "d", "e", "f"]
    context.add(Utterance(0, "g", np.zeros(9, np.float32)))
    context.retract()
    assert [said.text for said in context.said()] == ["c", "d", "e", "f"]


def test_a_phrase_of_several_pieces_is_remembered_whole_or_not_at_all(voice: Any) -> None:
    two = "One sentence that is long enough to be said by itself. " * 5
    talk = voice.converse()
    sounds = list(speak(talk, two))
    assert len(talk.context) > 1
    assert " ".join(said.text for said in talk.context).split() == two.split()
    assert len(sound_of(sounds)) > 24_000
    talk.retract()
    going = speak(talk, two)
    heard = 0
    while heard < len(sound_of(sounds)) * 0.9:
        heard += len(next(going).pcm)
    going.close()
    assert talk.context == ()


def test_what_the_model_has_no_room_for_is_left_out_the_oldest_first(voice: Any) -> None:
    """Else it would have no position left to speak at, and be silent."""
    processor = voice._base.loaded.processor
    first = (Utterance(0, "I am the voice.", np.zeros(4 * 1_920, np.float32)),)
    said = tuple(Utterance(0, text, np.zeros(30 * 1_920, np.float32)) for text in ("Old.", "Newer.", "New."))

    def told(room: int) -> str:
        made = prompt_within(room, processor, said, "Good.", first=first, speaker=0, device="cpu")
        read: str = processor.tokenizer.decode(made["input_ids"][0])
        return "".join(name[0] for name in ("Old", "Newer", "voice", "Good") if name in read.replace(" ", ""))

    assert told(200) == "ONvG"
    assert told(120) == "NvG"
    assert told(0) == "vG"


def test_a_conversation_longer_than_the_model_has_room_for_goes_on(csm_packs: Path) -> None:
    pack = pack_of(csm_packs, "csm-tiny")
    endless = pack.model_copy(update={"options": {**pack.options, "context_turns": 99, "context_seconds": 9_999}})
    voice: Any = load_synthesizer(endless)
    try:
        talk = voice.converse()
        long = Utterance(0, "Once upon a time.", np.zeros(24_000 * 60, np.float32))
        talk._context.add(long, long, long)
        assert len(sound_of(list(speak(talk, "Well.")))) == len(sound_of(list(speak(voice, "Well."))))
    finally:
        voice.close()
