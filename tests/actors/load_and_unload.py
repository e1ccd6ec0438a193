"""Run as a process of its own: loads, uses and unloads a model again and again, and prints its memory after each.

python -m tests.actors.load_and_unload piper-joe 21 CACHE
"""

import asyncio
import sys
import time
from functools import partial
from pathlib import Path

from adapters.process_memory import ProcessMemory, keep_one_heap  # isort: skip  # before libraries begin threads

keep_one_heap()

from actors.mailbox import Mailbox  # noqa: E402
from actors.models import ModelManager  # noqa: E402
from actors.policies.resident import Limits  # noqa: E402
from actors.tts_messages import Key, Say  # noqa: E402
from actors.tts_rendition import Made  # noqa: E402
from actors.voice_threads import VoiceThreads  # noqa: E402
from actors.voices import Voice  # noqa: E402
from adapters.audio.mastering import calibrate  # noqa: E402
from adapters.tts.loading import load_synthesizer  # noqa: E402
from adapters.voicepacks import find_packs  # noqa: E402
from protocol.ids import ModelId, SessionId, TurnId  # noqa: E402

TEXT = "A sentence that is long enough for the model to need more memory than it needs for a greeting."


async def run(model: ModelId, cycles: int, cache: Path) -> None:
    """As a worker does it: each load on a thread of its own, a session that speaks, an operator who unloads."""
    pack = next(pack for pack in find_packs().good if pack.model_id == model)
    loop = asyncio.get_running_loop()
    spoken = asyncio.Event()

    def on_made(_key: Key, made: Made, _seconds: float) -> None:
        if made.finished:
            spoken.set()

    memory = ProcessMemory()
    threads = VoiceThreads(
        calibrate=calibrate, mailbox=Mailbox(loop), on_made=on_made, on_failed=lambda *_: None, meter=memory
    )
    voice = Voice(model=model, languages=pack.languages, load=partial(load_synthesizer, pack, cache=cache))
    models = ModelManager(
        [voice],
        limits=Limits(),
        threads=threads,
        clock=time.monotonic,
        call_later=loop.call_later,
        on_died=lambda *_: None,
    )
    session = SessionId("s1")
    for cycle in range(cycles):
        lease = await models.acquire(model, session)
        spoken.clear()
        lease.voice.tell(Say((session, TurnId(cycle + 1)), 0, TEXT, "en", 1.0, last=True))
        await spoken.wait()
        lease.release()
        loaded_mb = memory.used().process_mb
        await models.unload(model)
        sys.stdout.write(f"{loaded_mb:.1f} {memory.used().process_mb:.1f}\n")


if __name__ == "__main__":
    asyncio.run(run(ModelId(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
