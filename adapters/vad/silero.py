"""Silero VAD by its ONNX file: one onnxruntime session, any number of streams, many of them in one inference.

The file comes with the package `silero-vad`, which is not imported: it would ask for torch. A window is 512 samples at
16 kHz behind the last 64 of the window before it; the state is `[2, streams, 128]`.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from protocol.errors import ModelUnavailable
from protocol.ports import Pcm, VoiceActivityStream

_RATE: Final = np.array(16_000, dtype=np.int64)
_WINDOW: Final = 512
_CONTEXT: Final = 64
_STATE: Final = (2, 1, 128)
# Exports of one network: the same probabilities to 1e-6, the first a quarter cheaper per window than the last.
_FILES: Final = ("silero_vad_op18_ifless.onnx", "silero_vad_16k_op15.onnx", "silero_vad.onnx")


class SileroStream:
    """The memory of one session: the network's state and the end of the last window."""

    def __init__(self, model: "SileroModel") -> None:
        self._model = model
        self.state: npt.NDArray[np.float32] = np.zeros(_STATE, dtype=np.float32)
        self.context: Pcm = np.zeros(_CONTEXT, dtype=np.float32)

    def probability(self, window: Pcm) -> float:
        """Of speech in the next 512 samples at 16 kHz."""
        return self._model.probabilities((self,), (window,))[0]


class SileroModel:
    """The network, loaded once. Its methods are for one thread, which computes."""

    def __init__(self, path: Path | None = None) -> None:
        """Load `path`, or the file of the installed package `silero-vad`.

        Raises:
            ModelUnavailable: when there is no such file, or onnxruntime refuses it.
        """
        found = path or _installed()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(found), options, providers=["CPUExecutionProvider"])
            self.open_stream().probability(np.zeros(_WINDOW, dtype=np.float32))
        except Exception as error:  # onnxruntime raises a dozen unrelated types
            raise ModelUnavailable(f"onnxruntime cannot run {found.name} as Silero VAD: {error}") from error

    def open_stream(self) -> SileroStream:
        """State for one more session."""
        return SileroStream(self)

    def probabilities(self, streams: Sequence[VoiceActivityStream], windows: Sequence[Pcm]) -> list[float]:
        """Of speech in the next window of each stream, in one inference.

        Streams are this model's own and differ from each other. When it raises, no stream has moved on.
        """
        ours = [stream for stream in streams if isinstance(stream, SileroStream)]
        if len(ours) != len(windows):
            raise ValueError(f"{len(windows)} windows for {len(ours)} streams of this model")
        batch = np.empty((len(ours), _CONTEXT + _WINDOW), dtype=np.float32)
        for row, stream, window in zip(batch, ours, windows, strict=True):
            if window.shape != (_WINDOW,):
                raise ValueError(f"a window has {_WINDOW} samples, not {window.shape}")
            row[:_CONTEXT] = stream.context
            row[_CONTEXT:] = window
        state = ours[0].state if len(ours) == 1 else np.concatenate([stream.state for stream in ours], axis=1)
        found, after = self._session.run(None, {"input": batch, "state": state, "sr": _RATE})
        for i, stream in enumerate(ours):
            stream.state = after[:, i : i + 1]
            stream.context = batch[i, -_CONTEXT:]
        return [float(p) for p in found[:, 0]]


def _installed() -> Path:
    spec = find_spec("silero_vad")
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in _FILES:
            if (file := Path(folder) / "data" / name).is_file():
                return file
    raise ModelUnavailable("Silero's ONNX file was not found: install the package silero-vad (its torch is not needed)")
