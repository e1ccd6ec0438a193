"""From a voice pack to a loaded model. A family's packages are imported only when one of its models is loaded."""

from pathlib import Path

from adapters.voicepacks import VoicePack
from protocol.errors import ModelUnavailable
from protocol.ports import Synthesizer


def load_synthesizer(pack: VoicePack, *, cache: Path | None = None, threads: int = 1) -> Synthesizer:
    """The pack's model. On the thread that will use it; takes up to two seconds.

    `cache` is where derived files are kept (default: the user's cache folder), `threads` what onnxruntime may use.

    Raises:
        ModelUnavailable: a package or a file is missing or broken, or no adapter knows the family.
    """
    source = pack.source
    source.folder()
    match pack.family:
        case "hibari":
            from adapters.tts.hibari import HibariSynthesizer  # noqa: PLC0415  # see the module's docstring

            return HibariSynthesizer(pack.model_id, voice=source.voice or "heart", threads=threads)
        case "piper":
            weights, config = source.file(source.weights), source.file(source.config)
            try:
                from adapters.tts.piper import PiperSynthesizer  # noqa: PLC0415  # see the module's docstring
            except ImportError as error:
                raise ModelUnavailable(f"Piper is not installed ({error}): install antiphon[piper]") from error
            return PiperSynthesizer(pack.model_id, weights=weights, config=config, cache=cache, threads=threads)
    raise ModelUnavailable(f"no adapter knows the family {pack.family!r} of {pack.model_id}")
