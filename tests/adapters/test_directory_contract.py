"""What every directory of sessions promises (`protocol.ports.SessionDirectory`): in memory and in NATS."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import SessionId, TurnId, UnixMicros
from tests.adapters.directory_stage import MemoryStage, NatsStage, Stage, an_entry, kill

ONE, TWO = an_entry("s-1"), an_entry("s-2", opened_at=UnixMicros(9))


@pytest.fixture(params=["memory", "nats"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield MemoryStage() if request.param == "memory" else await a_server_stage(tmp_path, stack)


@pytest.fixture
async def server_stage(tmp_path: Path) -> AsyncIterator[NatsStage]:
    async with AsyncExitStack() as stack:
        yield await a_server_stage(tmp_path, stack)


async def a_server_stage(data_dir: Path, stack: AsyncExitStack) -> NatsStage:
    server = EmbeddedNats(data_dir)
    await server.start()
    stack.push_async_callback(server.stop)
    return NatsStage(server, data_dir, stack)


# --- what all of them do ---------------------------------------------------------------------------------------------
async def test_before_anybody_has_told_of_a_session_there_is_none(stage: Stage) -> None:
    assert not await (await stage.directory()).entries()


async def test_what_one_gateway_writes_another_process_reads_oldest_first(stage: Stage) -> None:
    here, there = await stage.directory(), await stage.directory()
    here.write(TWO)
    there.write(ONE)
    await stage.until(lambda entries: list(entries) == [ONE, TWO])
    assert list(await there.entries()) == list(await here.entries())


async def test_the_newest_entry_is_the_one_that_stands(stage: Stage) -> None:
    here = await stage.directory()
    for turn in range(1, 50):
        here.write(replace(ONE, turn=TurnId(turn)))
    await stage.until(lambda entries: list(entries) == [replace(ONE, turn=TurnId(49))])


async def test_a_session_that_is_over_is_gone_and_the_others_stay(stage: Stage) -> None:
    here = await stage.directory()
    here.write(ONE)
    here.write(TWO)
    await stage.until(lambda entries: list(entries) == [ONE, TWO])
    here.remove(ONE.session)
    await stage.until(lambda entries: list(entries) == [TWO])


async def test_a_session_that_ends_as_soon_as_it_began_is_not_there(stage: Stage) -> None:
    here = await stage.directory()
    here.write(ONE)
    here.remove(ONE.session)
    here.write(TWO)
    await stage.until(lambda entries: list(entries) == [TWO])


async def test_removing_one_that_was_never_written_is_harmless(stage: Stage) -> None:
    here = await stage.directory()
    here.remove(SessionId("nobody"))
    here.write(ONE)
    await stage.until(lambda entries: list(entries) == [ONE])


async def test_closing_removes_what_was_written_here_and_nothing_else(stage: Stage) -> None:
    here, there = await stage.directory(), await stage.directory()
    here.write(ONE)
    there.write(TWO)
    await stage.until(lambda entries: list(entries) == [ONE, TWO])
    await here.close()
    await stage.until(lambda entries: list(entries) == [TWO])


# --- what the one on a server survives -------------------------------------------------------------------------------
@pytest.mark.realtime
@pytest.mark.system
async def test_sessions_of_a_gateway_that_was_killed_go_by_themselves_and_those_of_others_stay(
    server_stage: NatsStage,
) -> None:
    killed, alive = await server_stage.directory(), await server_stage.directory()
    killed.write(ONE)
    alive.write(TWO)
    await server_stage.until(lambda entries: list(entries) == [ONE, TWO])
    kill(killed)
    await server_stage.until(lambda entries: list(entries) == [TWO])


@pytest.mark.realtime
@pytest.mark.system
@pytest.mark.parametrize("forgetful", [False, True])
async def test_a_server_that_comes_back_is_told_everything_again(server_stage: NatsStage, *, forgetful: bool) -> None:
    here = await server_stage.directory(renew_s=60.0, ttl_s=60)
    here.write(ONE)
    here.write(TWO)
    await server_stage.until(lambda entries: list(entries) == [ONE, TWO])
    await server_stage.restart(forgetful=forgetful)
    here.remove(ONE.session)
    changed = replace(TWO, turn=TurnId(3), state="SPEAKING")
    here.write(changed)
    await server_stage.until(lambda entries: list(entries) == [changed])
