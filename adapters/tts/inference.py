"""How onnxruntime is run beside a 20 ms pacer."""

from pathlib import Path

import onnxruntime as ort


def open_session(model: Path | bytes, *, threads: int = 1, keeps_memory: bool = True) -> ort.InferenceSession:
    """A session on the CPU.

    One thread is best for voices of this size, and threads that spin would take the pacer's core. A session that
    `keeps_memory` between runs is faster where much is allocated (Piper's decoder: a seventh) and grows with each
    longer sentence (hibari: by a fifth).
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = keeps_memory
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    source = str(model) if isinstance(model, Path) else model
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
