"""The real HTTP application on a free port, in front of a fake gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.transport.http import make_app
from protocol.ports import ConversationHost

PAGE = Path(__file__).resolve().parents[2] / "adapters" / "web"


@asynccontextmanager
async def served(host: ConversationHost, **options: Any) -> AsyncIterator[str]:
    """Its address, as long as the context lasts."""
    runner = web.AppRunner(make_app(host, page_dir=PAGE, **options), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
