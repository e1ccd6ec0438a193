"""A pack's reference recording: what a cloning model imitates."""

from pathlib import Path
from typing import Final

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 30.0
LOWEST_RATE: Final = 16_000
MOST_CHANNELS: Final = 2


def check_seed(path: Path, name: str) -> None:
    """A WAV file of 1 to 30 seconds, in mono or stereo, at 16 kHz or more.

    Raises:
        ValueError: it is none; the message names the file and what is wrong.
    """
    import soundfile  # noqa: PLC0415  # loads a library that a pack without a recording does not need

    if not path.is_file():
        raise ValueError(f"{name}: there is no such file in the pack's folder")
    try:
        found = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{name}: is no sound file: {error.error_string}") from error
    if found.format not in ("WAV", "WAVEX"):
        raise ValueError(f"{name}: is {found.format}; WAV is wanted")
    seconds = found.frames / found.samplerate
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise ValueError(f"{name}: is {seconds:.1f} s long; {SHORTEST_S:.0f} to {LONGEST_S:.0f} s are wanted")
    if found.channels > MOST_CHANNELS:
        raise ValueError(f"{name}: has {found.channels} channels; one or two are wanted")
    if found.samplerate < LOWEST_RATE:
        raise ValueError(f"{name}: is sampled at {found.samplerate} Hz; {LOWEST_RATE} Hz or more are wanted")
