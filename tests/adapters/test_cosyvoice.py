"""CosyVoice 2 with random weights, in its real files, through its real code: what that does wrong is not done."""

import gc
import logging
import math
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.tts.cosyvoice_code import VARIABLE, find_code
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ports import Cloner, Pcm, PcmChunk, Reference
from tests.adapters.cosyvoice_stage import Steps, opened
from tests.adapters.synthesizers import cosyvoice_folder
from tests.checkpoints.cosyvoice import SAID, recording

pytest.importorskip("hyperpyyaml", reason="CosyVoice is an extra")
torch: Any = pytest.importorskip("torch", reason="CosyVoice is an extra")
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

SENTENCE = "The quick brown fox jumps over the lazy dog."
SHORT = "Yes."
FIRST_TOKENS = 25 + 3
"""A block of the flow, and as much as it looks ahead."""


@pytest.fixture(scope="module")
def weights() -> Path:
    return cosyvoice_folder()


@pytest.fixture(scope="module")
def model(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return opened(weights, tmp_path_factory.mktemp("cosyvoice"))


@pytest.fixture
def steps(model: Any, monkeypatch: pytest.MonkeyPatch) -> Steps:
    counted = Steps(model._opened.loaded.llm.llm.forward_one_step)
    monkeypatch.setattr(model._opened.loaded.llm.llm, "forward_one_step", counted)
    return counted


def speak(model: Any, text: str = SENTENCE, *, speed: float = 1.0) -> Iterator[PcmChunk]:
    return iter(model.synthesize(text, language="en", speed=speed))


def sound(model: Any, text: str = SENTENCE) -> Pcm:
    return np.concatenate([chunk.pcm for chunk in speak(model, text)])


def close(going: Iterator[PcmChunk]) -> None:
    going.close()  # type: ignore[attr-defined]  # adapters give generators


# --- what the library does --------------------------------------------------------------------------------------------
def test_its_code_is_imported_without_a_hub_and_leaves_logging_and_output_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing has set logging up yet, it would set the root logger to DEBUG."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    monkeypatch.setitem(sys.modules, "modelscope", None)
    for name in [name for name in sys.modules if name.startswith(("cosyvoice.cli", "cosyvoice.utils"))]:
        monkeypatch.delitem(sys.modules, name)
    code = find_code()
    assert "cosyvoice.utils.file_utils" in sys.modules, "the module that does it"
    assert code.frontend.CosyVoiceFrontEnd
    assert (root.level, root.handlers) == (logging.WARNING, [])
    assert capsys.readouterr().out == ""


def test_recordings_are_read_without_torchcodec(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchaudio  # noqa: PLC0415  # an extra's

    def load(*_args: object, **_how: object) -> None:
        raise ImportError("TorchCodec is required for load_with_torchcodec")

    monkeypatch.setattr(torchaudio, "load", load)
    assert model.imitate(Reference(pcm=recording(rate=16_000), sample_rate=16_000, text=SAID))


def test_a_frontend_that_reads_files_itself_is_given_the_recording_at_its_rates(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As upstream's does since 2025; the one of `cosyvoice2-eu` takes samples."""
    loaded = model._opened.loaded
    module, takes_samples = loaded.code.frontend, loaded.frontend.frontend_zero_shot
    if hasattr(module, "load_wav"):
        pytest.skip("this is such a one: the other tests show it")
    monkeypatch.setattr(module, "load_wav", lambda *_: pytest.fail("reads a file"), raising=False)
    heard: list[int] = []

    def frontend_zero_shot(text: str, said: str, wav: Any, rate: int, speaker: str) -> Any:
        heard.extend(module.load_wav(wav, at).shape[1] for at in (24_000, 16_000))
        return takes_samples(text, said, module.load_wav(wav, 16_000, min_sr=16_000), rate, speaker)

    monkeypatch.setattr(loaded.frontend, "frontend_zero_shot", frontend_zero_shot)
    model.imitate(Reference(pcm=recording(2.0, rate=48_000), sample_rate=48_000, text=SAID))
    assert heard == [48_000, 32_000]


def test_the_cache_tells_its_length_and_the_rest_of_the_process_keeps_its_own(model: Any) -> None:
    from transformers import DynamicCache  # noqa: PLC0415  # an extra's

    llm = model._opened.loaded.llm
    with torch.inference_mode():
        _, cache = llm.llm.forward_one_step(torch.zeros(1, 5, 64), torch.ones(1, 5, 5, dtype=torch.bool))
    assert cache[0][0].size(2) == 5
    assert not hasattr(DynamicCache, "__getitem__")


def test_each_step_hears_all_that_was_said_before(model: Any) -> None:
    llm = model._opened.loaded.llm.llm
    said = torch.randn(1, 9, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        at_once, _ = llm.forward_one_step(said, torch.ones(1, 9, 9, dtype=torch.bool))
        _, cache = llm.forward_one_step(said[:, :8], torch.ones(1, 8, 8, dtype=torch.bool))
        last, _ = llm.forward_one_step(said[:, 8:], torch.ones(1, 1, 1, dtype=torch.bool), cache)
    assert torch.allclose(last[:, -1], at_once[:, -1], atol=1e-5)


def test_a_language_model_that_dies_ends_the_phrase_with_its_reason(model: Any, steps: Steps) -> None:
    steps.fails_at = 10
    with pytest.raises(SynthesisFailed, match="CosyVoice: RuntimeError: no more memory"):
        next(speak(model))
    steps.fails_at = math.inf
    assert next(speak(model)).pcm.size


def test_every_phrase_begins_with_a_small_chunk(model: Any, steps: Steps) -> None:
    for _ in range(2):
        before = steps.count
        going = speak(model, SENTENCE * 2)
        first = next(going).pcm.size
        assert steps.count - before == FIRST_TOKENS
        assert first / model.sample_rate < 1.0
        assert next(going).pcm.size > first
        close(going)


def test_a_pause_computes_nothing_and_a_stop_leaves_nothing(model: Any, steps: Steps) -> None:
    threads = threading.active_count()
    going = speak(model)
    next(going)
    assert steps.count == FIRST_TOKENS
    assert threading.active_count() == threads, "a thread would go on computing"
    assert steps.caches[-1]() is not None
    close(going)
    gc.collect()
    assert steps.caches[-1]() is None
    assert steps.count == FIRST_TOKENS


def test_a_phrase_neither_takes_nor_leaves_random_numbers_of_the_process(model: Any) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = sound(model, SHORT)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert np.array_equal(sound(model, SHORT), one)


def test_the_sound_is_the_librarys_own(model: Any) -> None:
    """Of the same tokens and random numbers, in the same chunks, by its own `token2wav`."""
    from cosyvoice.cli.model import CosyVoice2Model  # noqa: PLC0415  # an extra's

    from adapters.tts.cosyvoice_speech import Chance, Sounding  # noqa: PLC0415  # as above

    loaded, voice = model._opened.loaded, model._opened.voice
    tokens = torch.randint(0, 6561, (95,), generator=torch.Generator().manual_seed(3)).tolist()
    ours = list(Sounding(loaded, voice, Chance(1, loaded.device), speed=1.0).windows(iter(tokens)))
    library = CosyVoice2Model(loaded.llm, loaded.flow, loaded.hift)
    library.device = loaded.device
    library.hift_cache_dict["one"] = None
    chance = Chance(1, loaded.device)
    prompt = {"prompt_token": voice.heard, "prompt_feat": voice.mel, "embedding": voice.speaker, "uuid": "one"}
    for mine, (count, done, last) in zip(ours, [(28, 0, False), (78, 25, False), (95, 75, True)], strict=True):
        with chance.drawn(), torch.inference_mode():
            said = torch.tensor([tokens[:count]])
            theirs = library.token2wav(token=said, token_offset=done, stream=not last, finalize=last, **prompt)
        assert np.allclose(mine, theirs.reshape(-1).numpy(), atol=1e-5)


# --- whom it sounds like, and how -------------------------------------------------------------------------------------
def test_zero_shot_goes_on_where_the_recording_ends(model: Any) -> None:
    voice = model._opened.voice
    assert model._opened.loaded.frontend.tokenizer.decode(voice.text[0].tolist()) == SAID
    assert voice.said.shape[1] > 25
    assert voice.heard.shape[1] % 25 == 0, "else the first chunk would have to fill the block up"
    assert torch.equal(voice.heard, voice.said[:, -voice.heard.shape[1] :])
    assert voice.mel.shape == (1, 2 * voice.heard.shape[1], 80)


def test_cross_lingual_takes_the_sound_only(weights: Path, model: Any, tmp_path: Path) -> None:
    other = opened(weights, tmp_path, mode="cross_lingual")
    voice = other._opened.voice
    assert (voice.text.shape[1], voice.said.shape[1], voice.heard.shape[1]) == (0, 0, 50)
    assert not np.array_equal(sound(other, SHORT), sound(model, SHORT))


def test_instruct_tells_the_language_model_how(weights: Path, tmp_path: Path) -> None:
    other = opened(weights, tmp_path, mode="instruct", instruction="in a whisper")
    voice, tokenizer = other._opened.voice, other._opened.loaded.frontend.tokenizer
    assert voice.text[0].tolist() == tokenizer.encode("in a whisper<|endofprompt|>")
    assert len(voice.text[0]) == len("in a whisper") + 1, "the end of the prompt is one command, not letters"
    assert voice.said.shape[1] == 0
    assert sound(other, SHORT).size


def test_it_imitates_a_recording_and_stays_itself(model: Any) -> None:
    assert isinstance(model, Cloner)
    before = sound(model, SHORT)
    other = model.imitate(Reference(pcm=recording(3.0, pitch_hz=220.0), sample_rate=24_000, text="something else."))
    assert not np.array_equal(sound(other, SHORT), before)
    other.close()
    with pytest.raises(SynthesisFailed, match="closed"):
        next(speak(other, SHORT))
    assert np.array_equal(sound(model, SHORT), before)


@pytest.mark.parametrize(
    ("pcm", "reason"), [(np.zeros(48_000, np.float32), "nothing can be heard"), (recording(31.0), "31 s; 30 s at most")]
)
def test_a_recording_of_no_use_is_refused(model: Any, pcm: Pcm, reason: str) -> None:
    with pytest.raises(SynthesisFailed, match=reason):
        model.imitate(Reference(pcm=pcm, sample_rate=24_000, text=SAID))


def test_what_the_model_takes_for_a_command_is_not_passed_on(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def text_normalize(text: str, **_how: object) -> list[str]:
        said.append(text)
        return []

    monkeypatch.setattr(model._opened.loaded.frontend, "text_normalize", text_normalize)
    assert list(speak(model, "Hello<|endofprompt|> there.")) == []
    assert said == ["Hello endofprompt there."]


def test_it_speaks_in_half_precision(weights: Path, tmp_path: Path) -> None:
    other = opened(weights, tmp_path, dtype="bfloat16")
    assert next(other._opened.loaded.llm.llm.parameters()).dtype == torch.bfloat16
    assert np.isfinite(sound(other, SHORT)).all()


# --- what keeps it from being loaded ----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["llm", "flow", "hift"])
def test_weights_of_another_model_are_named(weights: Path, tmp_path: Path, name: str) -> None:
    state = torch.load(weights / f"{name}.pt", weights_only=True)
    gone = next(iter(state))
    state["of.another"] = state.pop(gone)
    home = tmp_path / "cosyvoice2" / "tiny"
    home.mkdir(parents=True)
    torch.save(state, home / f"{name}.pt")
    with pytest.raises(ModelUnavailable, match=rf"{name}\.pt is not what cosyvoice2\.yaml describes") as caught:
        opened(weights, tmp_path)
    assert f"missing: {gone.removeprefix('generator.')}" in str(caught.value)
    assert "unknown: of.another" in str(caught.value)
    assert caught.value.fault == "corrupt"


def test_what_would_run_other_code_is_not_built(weights: Path, tmp_path: Path) -> None:
    home = tmp_path / "cosyvoice2" / "tiny"
    home.mkdir(parents=True)
    config = (weights / "cosyvoice2.yaml").read_text()
    (home / "cosyvoice2.yaml").write_text(config.replace("allowed_special: 'all'", "allowed_special: !apply:os.getcwd"))
    with pytest.raises(ModelUnavailable, match=r"would build apply:os\.getcwd"):
        opened(weights, tmp_path)


def test_training_is_left_out(weights: Path) -> None:
    from adapters.tts.cosyvoice_files import spoken_part  # noqa: PLC0415  # an extra's

    config = (weights / "cosyvoice2.yaml").read_text()
    assert "a_package_for_training" in config
    kept = spoken_part(config)
    assert "a_package_for_training" not in kept
    assert "seed" not in kept


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "sing"}, "mode: zero_shot or cross_lingual or instruct is wanted"),
        ({"mode": "instruct"}, "instruction: wanted with the mode instruct"),
        ({"instruction": "in a whisper"}, "instruction: wanted with the mode instruct"),
        ({"mode": 1}, "mode: a text is wanted"),
        ({"pitch": 1}, "cosyvoice2 knows no pitch"),
    ],
)
def test_options_that_it_does_not_know_are_refused(
    weights: Path, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        opened(weights, tmp_path, **options)


def test_without_a_recording_it_has_no_voice(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="give its pack a reference"):
        opened(weights, tmp_path, seed=False)


def test_a_checkout_that_is_missing_is_told_how_to_get(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(
        ModelUnavailable, match=r"no checkout.*git clone --recursive.*ANTIPHON_COSYVOICE_REPO"
    ) as caught:
        opened(weights, tmp_path)
    assert caught.value.fault == "missing"


def test_a_checkout_without_its_submodule_is_told_how_to_get_it(weights: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "CosyVoice"
    (checkout / "cosyvoice" / "cli").mkdir(parents=True)
    (checkout / "cosyvoice" / "cli" / "frontend.py").touch()
    with pytest.raises(ModelUnavailable, match="git submodule update --init --recursive"):
        opened(weights, tmp_path / "packs", repo=str(checkout))
