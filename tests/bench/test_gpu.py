"""The bench on a GPU and the profilers' program, with tiny checkpoints on the CPU."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from adapters.voicepacks import find_packs
from protocol.errors import SynthesisFailed
from protocol.ports import PcmChunk
from tests.bench import gpu, profile_tools, profile_tts
from tests.bench.__main__ import NAMES, _why_skipped
from tests.bench.fal import SENTENCES
from tests.bench.gpu_checkpoint import FAMILIES, NEEDS, text_of
from tests.bench.gpu_speaking import speak_in_turn
from tests.bench.options import GpuOptions, Options
from tests.bench.results import Findings, write
from tests.checkpoints.cosyvoice_config import QWEN
from tests.e2e.system import ROOT
from tests.fakes.voices import FakeSynthesizer

TINY = GpuOptions(size="tiny", device="cpu")


def _here(function: Any, *arguments: Any, **named: Any) -> Any:
    return function(*arguments, **named)


def _no_library(_name: str) -> bool:
    return False


def _has_cuda() -> bool:
    return gpu.why_skipped() is None


def test_a_bench_of_everything_leaves_the_gpu_out_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "is_installed", _no_library)
    assert "gpu" in NAMES
    assert _why_skipped("gpu") == "gpu: skipped, torch is not installed (uv sync --extra csm --extra xtts)"
    assert _why_skipped("fal") is None


async def test_asked_for_by_name_without_a_gpu_it_says_how_to_try_it() -> None:
    if _has_cuda():
        pytest.skip("there is a CUDA device")
    with pytest.raises(typer.BadParameter, match="--device cpu --size tiny"):
        await gpu.measure(None, Options(gpu=GpuOptions()), Findings())


async def test_a_family_whose_library_is_missing_is_an_error_if_asked_for_and_else_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "is_installed", _no_library)
    with pytest.raises(typer.BadParameter, match="uv sync --extra xtts"):
        await gpu.measure(None, Options(gpu=GpuOptions(size="tiny", device="cpu", families=("xtts",))), Findings())
    findings = Findings()
    await gpu.measure(None, Options(gpu=TINY), findings)
    assert not findings.metrics
    assert capsys.readouterr().out.count("skipped") == len(FAMILIES)


def test_on_a_gpu_every_number_format_is_measured_and_csm_compiled_too() -> None:
    assert [v.name for v in gpu.variants("csm", Options())] == [
        "csm_bfloat16",
        "csm_bfloat16_compiled",
        "csm_float16",
        "csm_float16_compiled",
        "csm_float32",
        "csm_float32_compiled",
    ]
    assert [v.name for v in gpu.variants("xtts", Options())] == ["xtts_bfloat16", "xtts_float16", "xtts_float32"]
    assert [v.name for v in gpu.variants("csm", Options(gpu=TINY))] == ["csm_float32"]
    assert all(v.sessions == (1, 2, 4) and v.runs == 10 for v in gpu.variants("csm", Options()))


class _Recorder(FakeSynthesizer):
    """Says whose chunk was asked for."""

    def __init__(self, chunks: int) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._most = chunks

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        for chunk in list(super().synthesize(text, language=language, speed=speed))[: self._most]:
            self.asked.append(text)
            yield chunk


def test_phrases_that_are_measured_together_take_turns() -> None:
    voice = _Recorder(chunks=2)
    spoken = speak_in_turn(voice, ["one two three four.", "five six seven eight."])
    assert voice.asked[:2] == ["one two three four.", "five six seven eight."]
    assert voice.asked == voice.asked[:2] * (len(voice.asked) // 2)
    assert len(spoken.first_ms) == len(spoken.stall_ms) == 2
    assert 0 < spoken.first_ms[0] <= spoken.first_ms[1]
    assert 0 < spoken.rtf < 1


def test_a_voice_that_says_nothing_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="no sound"):
        speak_in_turn(_Recorder(chunks=0), ["one two three four."])


def test_only_cosyvoice_has_the_length_of_its_text() -> None:
    sentence = "The train to the coast leaves every morning at a quarter past eight."
    assert text_of("csm", sentence, 1.0) == sentence
    assert text_of("cosyvoice2", sentence, 1.0) == sentence[:12]


def test_nsight_systems_records_between_the_marks_and_is_asked_for_the_phases(tmp_path: Path) -> None:
    record, stats = profile_tools.command("nsys", "csm", ["python", "it"], out=tmp_path, phase=None)
    assert {"--capture-range=cudaProfilerApi", "--trace=cuda,nvtx,osrt", "--cuda-graph-trace=node"} < set(record)
    assert record[-2:] == ["python", "it"]
    assert stats[-1] == f"{tmp_path}/nsys-csm.nsys-rep"
    assert "nvtx_gpu_proj_sum" in stats[3]


@pytest.mark.parametrize(("phase", "range_"), [(None, "xtts.gpt/"), ("xtts.vocoder", "xtts.vocoder/")])
def test_nsight_compute_looks_into_one_phase(tmp_path: Path, phase: str | None, range_: str) -> None:
    record, _ = profile_tools.command("ncu", "xtts", ["python", "it"], out=tmp_path, phase=phase)
    assert record[record.index("--nvtx-include") + 1] == range_
    assert record[record.index("--profile-from-start") + 1] == "off"


@pytest.mark.parametrize("tool", ["nsys", "ncu"])
def test_a_profiler_that_is_not_installed_is_named(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(profile_tts, "is_installed", lambda _library: True)
    with pytest.raises(typer.Exit) as ended:
        profile_tts.main("csm", tool=tool, out=tmp_path)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert f"{tool} is not installed" in said
    assert "CUDA toolkit" in said


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize("family", FAMILIES)
async def test_the_bench_measures_a_tiny_checkpoint_on_a_processor(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(NEEDS[family], reason="the family is an extra")
    monkeypatch.setattr(gpu, "_in_a_process", _here)  # which would import torch anew
    findings = Findings()
    options = Options(runs=1, sessions=(2,), seconds=0.5, gpu=GpuOptions(families=(family,), size="tiny", device="cpu"))
    await gpu.measure(None, options, findings)
    assert findings.about["failed"] == {}
    assert len(findings.metrics[f"{family}_float32_2_fal"].values) == 2
    assert findings.metrics[f"{family}_float32_2_rtf"].values[0] > 0
    document = orjson.loads(write("gpu", 1, findings, tmp_path).read_bytes())
    assert document["about"]["device"] == "cpu"
    assert document["about"]["size"] == "tiny"


async def test_what_fails_is_told_and_the_next_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: Any, **_named: Any) -> None:
        raise SynthesisFailed("no kernel for this")

    monkeypatch.setattr(gpu, "is_installed", lambda _library: True)
    monkeypatch.setattr(gpu, "_in_a_process", fail)
    findings = Findings()
    await gpu.measure(None, Options(gpu=TINY), findings)
    assert findings.about["failed"] == dict.fromkeys(FAMILIES, "SynthesisFailed: no kernel for this")
    assert capsys.readouterr().err.count("no kernel for this") == len(FAMILIES)


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_torchs_profiler_knows_the_phases_of_an_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft", reason="CSM is an extra")
    profile_tts.main("csm", size="tiny", device="cpu", phrases=1, seconds=0.4, out=tmp_path)
    said = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line.startswith("csm.")}
    assert {"csm.backbone", "csm.depth", "csm.codec"} <= set(rows)
    frames = round((400 + len(SENTENCES[1])) / 80)  # of 80 ms; a letter more is a millisecond more
    assert rows["csm.depth"][1] == str(frames)
    trace = orjson.loads((tmp_path / "profile-csm.json").read_bytes())
    assert any(event.get("name") == "csm.depth" for event in trace["traceEvents"])


@pytest.mark.heavy
def test_at_real_size_weights_weigh_what_the_published_ones_do() -> None:
    torch = pytest.importorskip("torch", reason="CSM is an extra")
    transformers = pytest.importorskip("transformers", reason="CSM is an extra")
    with torch.device("meta"):
        csm = transformers.CsmForConditionalGeneration(transformers.CsmConfig())
        qwen = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(tie_word_embeddings=True, **QWEN["real"]))
    once = {id(weight): weight for weight in qwen.bfloat16().state_dict(keep_vars=True).values()}  # two names for one
    for model, weights, file in (
        ("csm-1b", csm.state_dict().values(), ".safetensors"),
        ("cosyvoice2-05b", once.values(), "CosyVoice-BlankEN/model.safetensors"),
    ):
        pack = find_packs(ROOT / "voicepacks").get(model)
        assert pack is not None
        published = sum(found.size or 0 for found in pack.files() if str(found.path).endswith(file))
        assert sum(weight.numel() * weight.itemsize for weight in weights) == pytest.approx(published, rel=1e-3)
