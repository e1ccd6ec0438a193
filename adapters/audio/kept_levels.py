"""What was measured of a model's level, kept in a file for the processes to come."""

import math
import os
import tempfile
from pathlib import Path

import orjson
import structlog

from adapters.audio.levelling import Calibration

log = structlog.get_logger()


def read_level(file: Path) -> Calibration | None:
    """None when nothing was kept, or what is there is none."""
    try:
        kept = orjson.loads(file.read_bytes())
        found = Calibration(float(kept["level_lufs"]), float(kept["gain_db"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if math.isfinite(found.level_lufs) and math.isfinite(found.gain_db) else None


def keep_level(file: Path, calibration: Calibration) -> None:
    """Written beside its place and moved there whole. Where that cannot be done it is measured again next time."""
    content = orjson.dumps({"level_lufs": calibration.level_lufs, "gain_db": calibration.gain_db})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".part")
        with os.fdopen(descriptor, "wb") as part:
            part.write(content)
        Path(beside).replace(file)
    except OSError as error:
        log.warning("a voice's level cannot be kept", reason=error.strerror)
