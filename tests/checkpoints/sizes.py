"""How large a checkpoint with random weights is built."""

from typing import Final, Literal

Size = Literal["tiny", "real"]
"""`tiny` for tests; `real`: all dimensions of the published model, which then takes as long as that to speak."""
REAL_MB: Final = {"csm": 7_200, "xtts": 1_900, "cosyvoice2": 3_600}
"""About what a family's files take on disk at real size."""
