"""Piper's one ONNX graph (phonemes to waveform) in two: what sees the whole sentence, and a decoder by the window.

The seam is the one that `streaming-vits` describes, one step earlier: the front end gives mean and deviation of the
latents, so that the noise is drawn outside, from a seed, and the same text gives the same samples. The durations that
it computes inside are an output too.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

_LAYOUT: Final = 1
"""Part of the cache's key: raised when what is cached changes."""
_META: Final = "split.json"


@dataclass(frozen=True, slots=True)
class SplitGraphs:
    """Where the two graphs lie, what their tensors are called, and how many samples a frame of latents makes."""

    folder: str
    inputs: tuple[str, ...]
    duration_noise: str
    decoder_inputs: tuple[str, str]
    hop: int

    @property
    def front_end(self) -> Path:
        """Phonemes to mean, deviation, mask and durations, in this order."""
        return Path(self.folder) / "front-end.onnx"

    @property
    def decoder(self) -> Path:
        """Latents and mask to sound."""
        return Path(self.folder) / "decoder.onnx"


def default_cache() -> Path:
    """The user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "antiphon" / "piper"


def split_graphs(model: Path, cache: Path | None = None) -> SplitGraphs:
    """The two graphs of `model`: from the cache, or made now (about two seconds) by the first process that asks."""
    cache = cache or default_cache()
    stat = model.stat()
    key = f"{_LAYOUT}:{model.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    folder = cache / f"{model.stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / _META).exists():
            _make(model, folder)
    known = json.loads((folder / _META).read_text(encoding="utf-8"))
    return SplitGraphs(
        str(folder), tuple(known["inputs"]), known["duration_noise"], tuple(known["decoder_inputs"]), known["hop"]
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among processes; the lock ends with the process that holds it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(model: Path, folder: Path) -> None:
    """Built beside its place and moved there whole: an end in between leaves nothing half made."""
    beside = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
    try:
        known = _split(model, beside)
        (beside / _META).write_text(json.dumps(asdict(known)), encoding="utf-8")
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _split(model: Path, folder: Path) -> SplitGraphs:
    import onnx  # noqa: PLC0415  # an extra's package, and half a second to import: only where a graph is split
    from streaming_vits.graph import describe_decoder, find_seam  # noqa: PLC0415  # as above

    whole = onnx.load(str(model))
    seam, hop = find_seam(whole), int(describe_decoder(whole)["hop"])
    if seam.g is not None:
        raise ValueError("voices with several speakers are not supported")
    noises = [node.output[0] for node in whole.graph.node if node.op_type == "RandomNormalLike"]
    mean, deviation = _prior(whole.graph, seam.z_p, noises[-1])
    durations = next(node.output[0] for node in whole.graph.node if node.op_type == "Ceil")
    known = SplitGraphs(str(folder), tuple(i.name for i in whole.graph.input), noises[0], (seam.z_p, seam.mask), hop)
    del whole.metadata_props[:]  # Piper writes some keys twice, which the checker refuses
    inferred = onnx.shape_inference.infer_shapes(whole, data_prop=True)
    whole_path = folder / "whole.onnx"
    onnx.save(inferred, str(whole_path))
    front_inputs = [*known.inputs, known.duration_noise]
    extract = onnx.utils.extract_model
    extract(str(whole_path), str(known.front_end), front_inputs, [mean, deviation, seam.mask, durations])
    extract(str(whole_path), str(known.decoder), [seam.z_p, seam.mask], ["output"])
    whole_path.unlink()
    return known


def _prior(graph: Any, latents: str, noise: str) -> tuple[str, str]:
    """The tensors m and s of `latents = m + noise * s * scale`."""
    makers = {output: node for node in graph.node for output in node.output}
    users = [node for node in graph.node if noise in node.input]
    total = makers[latents]
    if total.op_type != "Add" or len(users) != 1 or users[0].op_type != "Mul":
        raise ValueError("the graph does not draw its noise as VITS does")
    deviation = next(name for name in users[0].input if name != noise)
    means = [name for name in total.input if makers[name].op_type != "Mul"]
    if len(means) != 1:
        raise ValueError("the graph does not add its noise as VITS does")
    return means[0], deviation
