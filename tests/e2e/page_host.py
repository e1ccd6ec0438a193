"""The page and the real HTTP side in this process, before a host that says what a test wants said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

import adapters
from adapters.transport.http import make_app
from protocol.conversation import Reply, State, StateChanged, Transcript
from protocol.ids import TurnId
from protocol.message import Message
from protocol.ports import WorkerFleet
from tests.fakes.scripted_host import SESSION, ScriptedHost

TURN: Final = TurnId(1)
_WEB: Final = Path(adapters.__file__).parent / "web"
_ANSWER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class PageHost:
    """A scripted gateway and where it answers. `host.tell` speaks to the page."""

    host: ScriptedHost
    url: str

    async def asked(self) -> Message:
        """The next command that the page sends."""
        return await asyncio.wait_for(self.host.commands.get(), _ANSWER_S)


@asynccontextmanager
async def page_host(
    api_key: str | None = None, *, fleet: WorkerFleet | None = None, admin_key: str | None = None, port: int = 0
) -> AsyncIterator[PageHost]:
    """Serve the page on a free port, or on this one, with these workers behind it."""
    host = ScriptedHost()
    app = make_app(host, page_dir=_WEB, api_key=api_key, fleet=fleet, admin_key=admin_key, is_local=True)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield PageHost(host, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


def state(state: State, turn: TurnId = TURN) -> StateChanged:
    """Who has the floor now."""
    return StateChanged(session=SESSION, state=state, turn=turn)


def reply(text: str, turn: TurnId = TURN) -> Reply:
    """A piece of ours."""
    return Reply(session=SESSION, turn=turn, text=text)


def words(text: str, utterance: int, *, final: bool) -> Transcript:
    """Of the user's."""
    return Transcript(session=SESSION, utterance=utterance, text=text, final=final)
