"""`antiphon route`: which worker would serve a session, and why."""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from actors.cli.nats_options import Credentials, DataDir, Nats, token, whereabouts

_REFUSED = 1

Kind = Literal["tts", "asr"]
WhenCold = Literal["wait", "fallback", "refuse"]


class Need(StrEnum):
    """Typer repeats no option whose type is a Literal; `protocol.routing.Need` is one."""

    STREAMING = "streaming"
    ZERO_SHOT = "zero_shot"
    LORA = "lora"
    CPU_OK = "cpu_ok"
    EMOTIVE_ZERO_PROMPT = "emotive_zero_prompt"


def route(
    *,
    voice: Annotated[str | None, typer.Option(help="A model's id; the deployment's default if none.")] = None,
    language: Annotated[str, typer.Option(help="What is to be spoken, or understood.")] = "en",
    kind: Annotated[Kind, typer.Option(help="Who is wanted: a voice, or an ear.")] = "tts",
    needs: Annotated[list[Need] | None, typer.Option(help="A capability; may be repeated.")] = None,
    sample_rate: Annotated[int | None, typer.Option(help="In Hz.", min=8_000, max=192_000)] = None,
    when_cold: Annotated[WhenCold, typer.Option(help="For a voice that is in no worker's memory.")] = "fallback",
    avoid: Annotated[list[str] | None, typer.Option(help="A worker that is out; may be repeated.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Every candidate, and why it lost.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The router's answer, with all candidates.")] = False,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Ask a router which worker would serve a session now.

    Example: antiphon route --voice piper-joe --explain

    Example: antiphon route --language de --needs zero_shot --when-cold refuse

    It only asks: nobody is sent there, and nothing is loaded. The status is 1 when nobody can serve.
    """
    import asyncio  # noqa: PLC0415  # `antiphon --help` waits for none of this

    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from actors.bootstrap import route as bootstrap  # noqa: PLC0415
    from actors.cli.route_table import show  # noqa: PLC0415
    from protocol.codec import encode  # noqa: PLC0415
    from protocol.message import Language  # noqa: PLC0415
    from protocol.routing import Route, Routed  # noqa: PLC0415

    try:
        spoken = TypeAdapter(Language).validate_python(language)
    except ValidationError as error:
        raise typer.BadParameter("a language is a code such as en or pt-BR") from error
    wanted = Route(
        kind=kind,
        model=token(voice, "a voice"),
        language=spoken,
        needs=tuple(need.value for need in needs or ()),
        sample_rate=sample_rate,
        when_cold=when_cold,
        avoid=tuple(token(name, "a worker's name") for name in avoid or ()),
        explain=True,
    )
    answer = asyncio.run(bootstrap.ask(whereabouts(nats, data_dir, credentials).nats, wanted))
    if as_json:
        typer.echo(encode(answer))
    else:
        show(answer, Console(), explain=explain)
    if not isinstance(answer, Routed):
        raise typer.Exit(_REFUSED)
