"""The voice hibari: windows against the whole, words, failures. The rest is the contract's."""

import numpy as np
import pytest
from hibari import dsp

from adapters.tts.hibari import HibariSynthesizer
from adapters.tts.hibari_net import Spectrum
from adapters.tts.hibari_sound import windows
from adapters.tts.hibari_text import utterances
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ids import ModelId

pytestmark = pytest.mark.models
TEXT = "It was a dark and stormy night; the rain fell in torrents."


@pytest.fixture(scope="module")
def hibari() -> HibariSynthesizer:
    return HibariSynthesizer(ModelId("hibari-heart"))


class _Silent(np.random.Generator):
    """A generator of no noise at all: the one thing in which windows differ from the whole."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, size: object, dtype: object = np.float32) -> object:  # type: ignore[override]  # as used
        return np.zeros(size, dtype)  # type: ignore[call-overload]  # as used


def _spectrum(hibari: HibariSynthesizer, text: str = TEXT) -> Spectrum:
    (utterance,) = utterances(hibari._g2p, text)
    return hibari._net.speak([p for p in utterance.phonemes if hibari._net.knows(p)], 1.0)


def test_windows_add_up_to_the_whole_sound(hibari: HibariSynthesizer) -> None:
    spectrum = _spectrum(hibari)
    whole = dsp.synth(*(part.copy() for part in spectrum.parts), spectrum.pitch, _Silent())
    pieces = np.concatenate(list(windows(spectrum, _Silent())))
    assert pieces.shape == whole.shape
    assert np.max(np.abs(pieces - whole)) < 1e-6


@pytest.mark.parametrize("text", ["I.", "Oh!", "Yes."])
def test_the_shortest_words_fit_into_windows_too(hibari: HibariSynthesizer, text: str) -> None:
    spectrum = _spectrum(hibari, text)
    assert sum(map(len, windows(spectrum, _Silent()))) == len(spectrum.pitch) * dsp.HOP


def test_the_model_tells_its_durations_and_they_add_up(hibari: HibariSynthesizer) -> None:
    spectrum = _spectrum(hibari)
    assert spectrum.durations is not None
    assert spectrum.durations.sum() * 2 == len(spectrum.pitch)


def test_a_sentence_without_end_is_spoken_in_pieces_that_the_network_can_bear(hibari: HibariSynthesizer) -> None:
    pieces = list(utterances(hibari._g2p, "on and on, " * 100 + "for ever" * 80))
    assert len(pieces) > 3
    assert max(len(piece.phonemes) for piece in pieces) <= 400


def test_an_error_of_the_library_is_a_failed_synthesis_with_its_reason(
    hibari: HibariSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise IndexError("phoneme 999")

    monkeypatch.setattr(hibari._net, "speak", broken)
    with pytest.raises(SynthesisFailed, match="phoneme 999"):
        list(hibari.synthesize(TEXT, language="en", speed=1.0))


def test_a_voice_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(ModelUnavailable, match="nobody"):
        HibariSynthesizer(ModelId("hibari-nobody"), voice="nobody")
