"""`antiphon serve tts --family csm`, as an operator starts it: a base and an adapter of it speak in one process."""

import asyncio
import importlib.util
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId, SessionId, TurnId
from protocol.speaking import EndSpeaking, Stop, TextChunk
from protocol.subjects import tts_command, worker
from protocol.workers import ListModels, ModelsListed
from tests.checkpoints.csm import build_packs, write_pack
from tests.e2e.torch_worker import TEXT, WAIT_S, a_worker, ended, name_of, spoken, started

BASE, ADA = ModelId("csm-tiny"), ModelId("csm-ada")
_HAS_CSM: Final = importlib.util.find_spec("peft") is not None


@pytest.mark.heavy
@pytest.mark.timeout(400)
async def test_a_base_and_its_adapter_speak_in_one_process_for_two_sessions(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="CSM is an extra")
    build_packs(tmp_path / "packs", "ada")
    async with a_worker(nats_server, tmp_path, "csm", BASE) as bus:
        base, ada = await asyncio.gather(
            spoken(bus, "csm", SessionId("s1"), model=BASE), spoken(bus, "csm", SessionId("s2"), model=ADA)
        )
        again = await spoken(bus, "csm", SessionId("s3"), model=BASE)
        listed = await bus.request(worker(name_of("csm")), ListModels(), timeout_s=WAIT_S)
    assert isinstance(listed, ModelsListed)
    assert {status.model: status.state for status in listed.models} == {BASE: "resident", ADA: "resident"}
    for sound in (base, ada):
        assert len(sound) > 48_000 * 0.5
        assert np.sqrt(np.mean(sound**2)) > 100
    assert np.array_equal(base, again)
    assert not np.array_equal(base, ada)


@pytest.mark.heavy
@pytest.mark.timeout(400)
async def test_what_was_heard_in_a_session_is_context_for_what_is_said_in_it_next(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    """The same text again and again: in which context it was said can be heard."""
    pytest.importorskip("peft", reason="CSM is an extra")
    build_packs(tmp_path / "packs")
    one, two = SessionId("s1"), SessionId("s2")
    async with a_worker(nats_server, tmp_path, "csm", BASE) as bus:
        first = await spoken(bus, "csm", one)
        second = await spoken(bus, "csm", one, turn=2)
        others = [await spoken(bus, "csm", two)]
        await spoken(bus, "csm", two, turn=2, frames_wanted=20)  # and stopped
        bus.publish(
            tts_command(two, name_of("csm")), TextChunk(session=two, turn=TurnId(3), index=0, text=TEXT, last=True)
        )
        bus.publish(tts_command(two, name_of("csm")), Stop(session=two, turn=TurnId(3)))  # prepared, and not wanted
        others.append(await spoken(bus, "csm", two, turn=4))
        bus.publish(tts_command(one, name_of("csm")), EndSpeaking(session=one))
        anew = await spoken(bus, "csm", one, turn=3)
    assert not np.array_equal(first, second)
    assert np.array_equal(others[0], first), "two sessions do not hear each other"
    assert np.array_equal(others[1], second), "what was stopped was never said"
    assert np.array_equal(anew, first), "with the session all is forgotten"


@pytest.mark.skipif(_HAS_CSM, reason="the extra is installed")
async def test_without_the_extra_the_command_says_what_to_install(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    home = tmp_path / "packs" / "csm" / "tiny"
    home.mkdir(parents=True)
    (home / "config.json").write_text("{}", encoding="utf-8")  # never read
    write_pack(home)
    said = await ended(await started(nats_server, tmp_path, "csm", BASE))
    assert "install antiphon[csm] (in a checkout: uv sync --extra csm)" in said
