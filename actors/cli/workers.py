"""`antiphon workers`: who works here, and how to let a worker go."""

from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.nats_options import Credentials, DataDir, Json, Nats, Watch, token, whereabouts

if TYPE_CHECKING:
    from protocol.ports import WorkerView

app = typer.Typer(no_args_is_help=True, help="See the workers, and let one finish and end.")


@app.command("list")
def list_workers(
    *,
    watch: Watch = False,
    as_json: Json = False,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Show all workers: their state, sessions, models in memory, queue and speed.

    Example: antiphon workers list --watch

    Example: antiphon workers list --json | jq '.workers[].worker.name'
    """
    import time  # noqa: PLC0415  # `antiphon --help` waits for none of this

    from rich.console import Console  # noqa: PLC0415

    from actors.bootstrap import client, fleet  # noqa: PLC0415
    from actors.cli.fleet_rows import WORKER_COLUMNS, lasting, worker_rows  # noqa: PLC0415
    from actors.cli.fleet_screen import JsonScreen, Screen  # noqa: PLC0415

    settings = whereabouts(nats, data_dir, credentials)
    screen: JsonScreen[WorkerView] | Screen[WorkerView] = (
        JsonScreen(typer.echo, lambda views: {"workers": views}, lasting=lasting)
        if as_json
        else Screen(
            Console(),
            WORKER_COLUMNS,
            lambda views: worker_rows(views, now_s=time.time()),
            watch=watch,
            nothing="no worker has announced itself; start one: antiphon up",
        )
    )
    with screen:
        client.run(fleet.show_workers(settings, screen.show, watch=watch))


@app.command()
def drain(
    name: Annotated[str, typer.Argument(help="As `antiphon workers list` shows it.")],
    *,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it has ended.")] = True,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Let a worker take no new sessions, finish the current turns, and end.

    Example: antiphon workers drain tts-piper-0

    Its sessions go on elsewhere if there is another worker for them. `antiphon up` does not start it again.
    """
    from rich.console import Console  # noqa: PLC0415

    from actors.bootstrap import client, fleet  # noqa: PLC0415
    from actors.cli.fleet_progress import Draining  # noqa: PLC0415

    worker = token(name, "a worker's name")
    settings = whereabouts(nats, data_dir, credentials)
    with Draining(Console(), worker) as progress:

        async def main() -> None:
            successor = await fleet.drain(settings, worker, wait=wait, on_progress=progress.show)
            if wait:
                progress.ended(successor)

        if not client.run(main()):
            progress.left()
