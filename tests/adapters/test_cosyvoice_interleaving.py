"""Text that comes while CosyVoice's language model speaks: as its library does it, where that does it right."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Final

import pytest

from protocol.ports import Reference
from tests.adapters.cosyvoice_stage import Steps, opened
from tests.adapters.synthesizers import cosyvoice_folder
from tests.checkpoints.cosyvoice import SAID, recording

pytest.importorskip("hyperpyyaml", reason="CosyVoice is an extra")
torch: Any = pytest.importorskip("torch", reason="CosyVoice is an extra")
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

TEXT: Final = "well that depends on what you want today"
END, NEITHER, FILL = 6561, 6562, 6563
NEVER, ALWAYS = -30.0, 60.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return opened(cosyvoice_folder(), tmp_path_factory.mktemp("cosyvoice"))


@pytest.fixture
def likely(model: Any) -> Iterator[Callable[[int, float], None]]:
    """How likely the model finds one of the tokens that are not speech."""
    bias = model._opened.loaded.llm.llm_decoder.bias
    before = bias.detach().clone()

    def set_bias(token: int, logit: float) -> None:
        with torch.no_grad():
            bias[token] = logit

    yield set_bias
    with torch.no_grad():
        bias.copy_(before)


@pytest.fixture
def steps(model: Any, monkeypatch: pytest.MonkeyPatch) -> Steps:
    counted = Steps(model._opened.loaded.llm.llm.forward_one_step)
    monkeypatch.setattr(model._opened.loaded.llm.llm, "forward_one_step", counted)
    return counted


def voice_of(model: Any, mode: str = "cross_lingual") -> Any:
    """What the language model takes as already spoken, or nothing of that."""
    voice = model._opened.voice
    nothing = torch.zeros(1, 0, dtype=torch.int32)
    return voice if mode == "zero_shot" else replace(voice, text=nothing, said=nothing)


def chance(model: Any) -> Any:
    from adapters.tts.cosyvoice_speech import Chance  # noqa: PLC0415  # an extra's

    return Chance(7, model._opened.loaded.device)


def tokens_for(model: Any, voice: Any) -> Any:
    from adapters.tts.cosyvoice_interleaving import InterleavedTokens  # noqa: PLC0415  # an extra's

    return InterleavedTokens(model._opened.loaded, voice, chance(model))


def letters(model: Any, text: str) -> list[int]:
    tokens, _ = model._opened.loaded.frontend._extract_text_token(text)
    return list(tokens[0].tolist())


def said(tokens: Any) -> list[int]:
    """As far as the text goes."""
    return list(iter(tokens.next, None))


def by_the_library(model: Any, voice: Any, text: str, count: int) -> list[int]:
    """The first tokens that `inference_bistream` says. In `cosyvoice2-eu` the first block's end is left to chance."""
    loaded, luck = model._opened.loaded, chance(model)
    sampled = loaded.llm.sampling_ids
    first = 15 - voice.said.shape[1] % 15

    def sampling_ids(scores: Any, drawn: list[int], *args: Any, **how: Any) -> Any:
        return torch.tensor([FILL]) if len(drawn) == first else sampled(scores, drawn, *args, **how)

    loaded.llm.sampling_ids = sampling_ids
    try:
        spoken = loaded.llm.inference_bistream(
            text=(torch.tensor([[letter]]) for letter in letters(model, text)),
            prompt_text=voice.text,
            prompt_text_len=torch.tensor([voice.text.shape[1]]),
            prompt_speech_token=voice.said,
            prompt_speech_token_len=torch.tensor([voice.said.shape[1]]),
            embedding=voice.speaker,
        )
        with luck.drawn():
            return list(islice(spoken, count))
    finally:
        del loaded.llm.sampling_ids


@pytest.mark.parametrize("mode", ["zero_shot", "cross_lingual"])
def test_it_says_what_the_library_says_while_text_comes(
    model: Any, likely: Callable[[int, float], None], mode: str
) -> None:
    likely(END, NEVER)  # which the library draws again, and we do not draw
    voice = voice_of(model, mode)
    tokens = tokens_for(model, voice)
    ours: list[int] = []
    for letter in letters(model, TEXT):
        tokens.add([letter])
        ours += said(tokens)
    count = 15 * (len(TEXT) // 5)
    assert len(ours) >= count
    assert ours[:count] == by_the_library(model, voice, TEXT, count)


@pytest.mark.parametrize("mode", ["zero_shot", "cross_lingual"])
def test_a_text_shorter_than_a_block_is_spoken_as_one_that_is_there_at_once(
    model: Any, likely: Callable[[int, float], None], mode: str
) -> None:
    """With a recording, of all of its speech: the library forgets what was not interleaved and says its text again."""
    from adapters.tts.cosyvoice_speech import speech_tokens  # noqa: PLC0415  # an extra's

    likely(END, NEVER)
    long = model.imitate(Reference(pcm=recording(12.0), sample_rate=24_000, text=SAID))
    voice = voice_of(long, mode)
    text = "yes."
    assert voice.said.shape[1] // 15 * 5 > voice.text.shape[1] + len(text) or mode != "zero_shot"
    tokens = tokens_for(model, voice)
    tokens.add(letters(model, text))
    assert not tokens.can_go_on
    tokens.complete()
    assert said(tokens) == list(speech_tokens(model._opened.loaded, voice, text, chance(model)))


def test_each_block_of_text_is_fifteen_tokens_of_speech_though_the_model_finds_no_end(model: Any) -> None:
    tokens = tokens_for(model, voice_of(model))
    counts = []
    for letter in letters(model, TEXT[:11]):
        tokens.add([letter])
        counts.append(len(said(tokens)))
    assert counts == [0, 0, 0, 0, 15, 0, 0, 0, 0, 15, 0]
    assert [tokens.said_before(i) for i in (0, 4, 5, 9, 10)] == [0, 0, 15, 15, 30]


def test_nothing_is_computed_where_text_is_lacking(model: Any, steps: Steps) -> None:
    tokens = tokens_for(model, voice_of(model, "zero_shot"))
    assert not tokens.can_go_on
    assert tokens.next() is None
    assert steps.count == 0
    tokens.add(letters(model, TEXT[:3]))
    spoken = said(tokens)
    assert steps.count == len(spoken)
    assert tokens.next() is None
    assert steps.count == len(spoken)


def test_a_block_that_the_model_ends_at_once_is_said_later(model: Any, likely: Callable[[int, float], None]) -> None:
    likely(FILL, ALWAYS)
    tokens = tokens_for(model, voice_of(model))
    tokens.add(letters(model, TEXT[:5]))
    assert said(tokens) == []
    assert not tokens.can_go_on
    tokens.complete()
    assert len(said(tokens)) >= 2 * 5
    assert not tokens.can_go_on


def test_the_end_never_comes_before_a_text_can_have_been_said(model: Any, likely: Callable[[int, float], None]) -> None:
    likely(END, ALWAYS)
    tokens = tokens_for(model, voice_of(model))
    tokens.add(letters(model, "yes."))
    tokens.complete()
    assert len(said(tokens)) == 2 * 4
    assert not tokens.can_go_on


def test_the_end_comes_even_if_the_model_finds_none(model: Any, likely: Callable[[int, float], None]) -> None:
    likely(END, NEVER)
    tokens = tokens_for(model, voice_of(model))
    tokens.add(letters(model, "yes."))
    tokens.complete()
    assert len(said(tokens)) == 20 * 4
    assert not tokens.can_go_on


def test_a_token_that_means_nothing_is_not_drawn(model: Any, likely: Callable[[int, float], None]) -> None:
    likely(NEITHER, ALWAYS)
    tokens = tokens_for(model, voice_of(model))
    tokens.add(letters(model, TEXT[:6]))
    tokens.complete()
    spoken = said(tokens)
    assert spoken
    assert max(spoken) < END


@pytest.mark.parametrize("text", ["yes.", TEXT[:5], TEXT[:12]])
def test_nothing_is_fed_twice(model: Any, steps: Steps, text: str) -> None:
    """The library feeds the last speech token again where the text ends after a block."""
    tokens = tokens_for(model, voice_of(model))
    tokens.add(letters(model, text))
    first = said(tokens)
    tokens.complete()
    spoken = first + said(tokens)
    begin = speak = 1
    assert steps.fed == begin + len(text) + speak + len(spoken)


def test_text_that_is_read_in_blocks_is_heard_as_a_whole(model: Any) -> None:
    """Many places at once, after what is in the cache: as if all had been fed at once."""
    llm = model._opened.loaded.llm.llm
    fed = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(2))
    mask = torch.ones(1, 1, 1, dtype=torch.bool)
    with torch.inference_mode():
        at_once, _ = llm.forward_one_step(fed, mask)
        _, cache = llm.forward_one_step(fed[:, :7], mask)
        rest, _ = llm.forward_one_step(fed[:, 7:], mask, cache)
    assert torch.allclose(rest, at_once[:, 7:], atol=1e-5)
