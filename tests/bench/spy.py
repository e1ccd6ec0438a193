"""`just spy-top`: which subjects are busiest, as an observer of the bus counts them."""

import asyncio
from collections import Counter
from typing import Annotated

import nats
import typer
from nats.aio.msg import Msg
from rich.console import Console
from rich.table import Table


def main(
    nats_url: Annotated[str, typer.Option("--nats", help="The NATS server.")] = "nats://127.0.0.1:4222",
    seconds: Annotated[float, typer.Option(help="How long to count.")] = 5.0,
) -> None:
    """Count messages and bytes by subject.

    Example: python -m tests.bench.spy --seconds 10
    """
    messages, size = asyncio.run(_count(nats_url, seconds))
    table = Table("messages/s", "KB/s", "subject")
    for subject, count in messages.most_common(40):
        table.add_row(f"{count / seconds:.1f}", f"{size[subject] / seconds / 1000:.1f}", subject)
    Console().print(table if messages else f"Nothing passed within {seconds:.0f} s.")


async def _count(url: str, seconds: float) -> tuple[Counter[str], Counter[str]]:
    messages: Counter[str] = Counter()
    size: Counter[str] = Counter()

    async def on_message(msg: Msg) -> None:
        messages[msg.subject] += 1
        size[msg.subject] += len(msg.data)

    client = await nats.connect(url, allow_reconnect=False, connect_timeout=2)
    for pattern in ("control.>", "audio.>"):
        await client.subscribe(pattern, cb=on_message)
    await asyncio.sleep(seconds)
    await client.close()
    return messages, size


if __name__ == "__main__":
    typer.run(main)
