"""`antiphon models`: which models are where, and how to load them or give their memory back."""

from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.nats_options import Credentials, DataDir, Json, Nats, Watch, token, whereabouts

if TYPE_CHECKING:
    from protocol.ports import WorkerView

app = typer.Typer(no_args_is_help=True, help="See, load and unload the models of the workers.")

_A_MODEL = "a model's id"
_A_WORKER = "a worker's name"
Model = Annotated[str, typer.Argument(help="As `antiphon models list` shows it.", show_default=False)]
AtWorker = Annotated[str | None, typer.Option("--worker", help="At this one.", metavar="NAME", show_default=False)]


@app.command("list")
def list_models(
    worker: Annotated[str | None, typer.Argument(help="Of this worker alone.", show_default=False)] = None,
    *,
    watch: Watch = False,
    as_json: Json = False,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Show all models: where they are, in which state, who uses them and what they hold.

    Example: antiphon models list --watch

    Example: antiphon models list tts-piper-0
    """
    from dataclasses import asdict  # noqa: PLC0415  # `antiphon --help` waits for none of this

    from rich.console import Console  # noqa: PLC0415

    from actors.bootstrap import client, fleet  # noqa: PLC0415
    from actors.cli.fleet_rows import MODEL_COLUMNS, lasting, model_rows  # noqa: PLC0415
    from actors.cli.fleet_screen import JsonScreen, Screen  # noqa: PLC0415

    only = token(worker, _A_WORKER)
    settings = whereabouts(nats, data_dir, credentials)
    screen: JsonScreen[WorkerView] | Screen[WorkerView] = (
        JsonScreen(
            typer.echo,
            lambda views: {
                "models": [
                    {"worker": view.worker.name, **asdict(status)}
                    for view in views
                    if only in (None, view.worker.name)
                    for status in view.models
                ]
            },
            lasting=lasting,
        )
        if as_json
        else Screen(
            Console(),
            MODEL_COLUMNS,
            lambda views: model_rows(views, only=only),
            watch=watch,
            nothing="no worker has announced a model",
        )
    )
    with screen:
        client.run(fleet.show_workers(settings, screen.show, watch=watch, needed=only))


@app.command()
def load(
    model: Model,
    *,
    worker: AtWorker = None,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Load a model into a worker's memory: into the one with most room, if none is named and none has it already.

    Example: antiphon models load piper-joe

    Example: antiphon models load piper-joe --worker tts-piper-1
    """
    from rich.console import Console  # noqa: PLC0415

    from actors.bootstrap import client, fleet  # noqa: PLC0415
    from actors.cli.fleet_progress import Waiting  # noqa: PLC0415

    wanted, at = token(model, _A_MODEL), token(worker, _A_WORKER)
    settings = whereabouts(nats, data_dir, credentials)
    with Waiting(Console()) as progress:

        async def main() -> None:
            done = await fleet.load(settings, wanted, at, lambda name: progress.say(f"loading {model} into {name}"))
            memory = f", {done.model.memory_mb} MB" if done.model.memory_mb else ""
            if done.was_so_before:
                progress.tell(f"{model} is in the memory of {done.worker} already{memory}")
            else:
                progress.tell(f"{model} is in the memory of {done.worker} after {done.took_s:.1f} s{memory}")

        if not client.run(main()):
            progress.tell(f"the worker goes on loading {model}; nobody waits for it any more")


@app.command()
def unload(
    model: Model,
    *,
    worker: AtWorker = None,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Give a model's memory back, at one worker or at all; refused while sessions use it.

    Example: antiphon models unload piper-joe
    """
    from actors.bootstrap import client, fleet  # noqa: PLC0415

    wanted, at = token(model, _A_MODEL), token(worker, _A_WORKER)

    async def main() -> None:
        for done in await fleet.unload(whereabouts(nats, data_dir, credentials), wanted, at):
            if done.was_so_before:
                typer.echo(f"{model} was not in the memory of {done.worker}")
            else:
                back = f", {done.model.memory_mb} MB" if done.model.memory_mb else ""
                typer.echo(f"{done.worker} has given {model} back{back}")

    client.run(main())


@app.command()
def reload(
    model: Annotated[str | None, typer.Argument(help="Loaded anew, too.", show_default=False)] = None,
    *,
    worker: AtWorker = None,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Let the workers read their voice packs anew; a model that is named is loaded anew once nobody uses it.

    Example: antiphon models reload

    Example: antiphon models reload piper-joe
    """
    from actors.bootstrap import client, fleet  # noqa: PLC0415

    again, at = token(model, _A_MODEL), token(worker, _A_WORKER)

    async def main() -> None:
        for name in await fleet.reload(whereabouts(nats, data_dir, credentials), again, at):
            typer.echo(f"{name} has read its voice packs anew" + (f", {model} too" if model else ""))

    client.run(main())
