"""CSM and two LoRA adapters of it in one model manager, through the libraries' own code: one base for all of them."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any

import pytest
from prometheus_client import REGISTRY

from actors.bootstrap.tts import _voices
from actors.mailbox import Mailbox
from actors.models import ModelManager
from actors.policies.resident import Limits
from actors.settings import TtsWorkerSettings
from actors.tts_messages import Key, OpenShaper, Say
from actors.tts_rendition import Made
from actors.voice_threads import VoiceThreads
from adapters.audio.mastering import calibrate
from adapters.voicepacks import find_packs
from protocol.ids import ModelId, SessionId, TurnId
from protocol.ports import Synthesizer
from tests.adapters.csm_stage import TEXT, tiny_packs

pytest.importorskip("torch")
pytest.importorskip("peft")

from adapters.tts.csm_base import resident_bases
from adapters.tts.csm_files import load_csm

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

TINY, ADA, BEN = (ModelId(f"csm-{name}") for name in ("tiny", "ada", "ben"))
OWN = {TINY: 0, ADA: 1, BEN: 1}
BASE_MB = 40
_SOON_S = 120.0


class Loads:
    """Each base that was loaded; what is still there of it."""

    def __init__(self) -> None:
        self.networks: list[weakref.ref[Any]] = []

    def alive(self) -> int:
        gc.collect()
        return sum(network() is not None for network in self.networks)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    counted = Loads()

    def counting(*where: Any, **how: Any) -> Any:
        loaded = load_csm(*where, **how)
        counted.networks.append(weakref.ref(loaded.networks.model))
        return loaded

    monkeypatch.setattr("adapters.tts.csm.load_csm", counting)
    return counted


_levels: dict[ModelId, OpenShaper] = {}


def measured_once(voice: Synthesizer) -> OpenShaper:
    """Its level; for the whole module, since two sentences take long."""
    if voice.model not in _levels:
        _levels[voice.model] = calibrate(voice)
    return _levels[voice.model]


class Worker:
    """A manager of the tiny packs' voices, as a worker has it; what its voices have made."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.made: dict[Key, int] = {}
        self.ended: dict[Key, asyncio.Event] = {}
        threads = VoiceThreads(
            calibrate=measured_once, mailbox=Mailbox(loop), on_made=self._on_made, on_failed=self._on_failed
        )
        self.models = ModelManager(
            _voices(TtsWorkerSettings(family="csm"), find_packs(tiny_packs()).of("csm", first=TINY)),
            limits=Limits(resident_cap=9),
            threads=threads,
            clock=loop.time,
            call_later=loop.call_later,
            on_died=lambda model, reason: pytest.fail(f"{model} has died: {reason}"),
        )

    async def speak(self, model: ModelId) -> int:
        """A sentence by itself; how many frames it has."""
        lease = await self.models.acquire(model, SessionId("s1"))
        key = (SessionId("s1"), TurnId(len(self.ended) + 1))
        self.ended[key] = asyncio.Event()
        lease.voice.tell(Say(key, 0, TEXT, "en", 1.0, last=True))
        async with asyncio.timeout(_SOON_S):
            await self.ended[key].wait()
        lease.release()
        return self.made[key]

    def _on_made(self, key: Key, made: Made, _compute_s: float) -> None:
        self.made[key] = self.made.get(key, 0) + len(made.frames)
        if made.finished:
            self.ended[key].set()

    def _on_failed(self, key: Key, reason: str) -> None:
        pytest.fail(f"{key}: {reason}")


@asynccontextmanager
async def a_worker() -> AsyncIterator[Worker]:
    worker = Worker()
    try:
        yield worker
    finally:
        await worker.models.stop()


def counted_mb(worker: Worker) -> float:
    """What the metric says, which is what is listed."""
    statuses = worker.models.statuses()
    listed = sum(status.memory_mb for status in statuses if status.state == "resident" or status.shared_by)
    counted = (REGISTRY.get_sample_value("antiphon_tts_models_memory_bytes") or 0.0) / 2**20
    assert counted == listed
    return counted


ORDERS = list(permutations(OWN))
"""Against each other from both ends, the voice that brings the base goes first, in the middle, or last."""


@pytest.mark.parametrize(("coming", "going"), list(zip(ORDERS, reversed(ORDERS), strict=True)), ids=" ".join)
async def test_in_whatever_order_they_come_and_go_the_base_is_loaded_once_and_freed_with_the_last(
    coming: tuple[ModelId, ...], going: tuple[ModelId, ...], loads: Loads
) -> None:
    async with a_worker() as worker:
        here: list[ModelId] = []
        for model in coming:
            await worker.models.load(model)
            here.append(model)
            assert (len(loads.networks), loads.alive(), resident_bases()) == (1, 1, 1)
            assert counted_mb(worker) == BASE_MB + sum(OWN[each] for each in here)
        for model in going:
            await worker.models.unload(model)
            here.remove(model)
            assert (loads.alive(), resident_bases()) == ((1, 1) if here else (0, 0))
            assert counted_mb(worker) == (BASE_MB + sum(OWN[each] for each in here) if here else 0)
        await worker.models.load(coming[0])
        assert (len(loads.networks), loads.alive()) == (2, 1)


async def test_who_stays_speaks_on_as_before_when_the_one_that_brought_the_base_has_gone(loads: Loads) -> None:
    async with a_worker() as worker:
        await worker.models.load(ADA)
        before = [await worker.speak(model) for model in (BEN, TINY)]
        await worker.models.unload(ADA)
        assert [await worker.speak(model) for model in (BEN, TINY)] == before
        assert all(frames > 0 for frames in before)
        assert len(loads.networks) == 1


async def test_what_each_load_brought_is_told(loads: Loads) -> None:
    """So that what is measured is counted where it belongs."""
    async with a_worker() as worker:
        brought = []
        for model in (BEN, TINY, ADA):
            lease = await worker.models.acquire(model, SessionId("s1"))
            assert lease.voice.shares is not None
            brought.append(lease.voice.shares.brought_base)
        assert brought == [True, False, False]
        assert len(loads.networks) == 1


async def test_two_adapters_that_speak_at_once_wait_for_each_other_and_that_is_seen(loads: Loads) -> None:
    async with a_worker() as worker:
        for model in (ADA, BEN):
            await worker.models.load(model)
        assert worker.models.waiting() == {TINY: 0}
        speaking = asyncio.gather(*(worker.speak(model) for model in (ADA, BEN)))
        seen = set[int]()
        while not speaking.done():
            seen |= set(worker.models.waiting().values())
            await asyncio.sleep(0.001)
        assert min(await speaking) > 0
        assert seen == {0, 1}
        assert worker.models.waiting() == {TINY: 0}
        assert len(loads.networks) == 1
