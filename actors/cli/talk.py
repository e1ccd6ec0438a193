"""`antiphon talk`: a conversation in a terminal."""

from pathlib import Path
from typing import Annotated, Any

import typer

from actors.cli.gateway_options import DEFAULT_URL, Key, Language, Speed, Url, Voice
from protocol.conversation import BargeIn

_INTERRUPTED = 130


def talk(
    *,
    mic: Annotated[bool, typer.Option("--mic", help="Use this machine's microphone and loudspeaker.")] = False,
    source: Annotated[
        Path | None, typer.Option("--in", help="What the user says: any sound file.", metavar="FILE")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option("--out", help="A WAV file for the answers, as long as the conversation.", metavar="FILE"),
    ] = None,
    wait: Annotated[
        float | None, typer.Option(min=0.0, help="End so long after the sound file's end.", metavar="SECONDS")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    voice: Voice = None,
    language: Language = None,
    speed: Speed = None,
    barge_in: Annotated[BargeIn | None, typer.Option(help="What interrupts a reply.")] = None,
) -> None:
    """Have a conversation: through the microphone, or with one sound file in and one out.

    Example: antiphon talk --mic

    Example: antiphon talk --in question.wav --out answer.wav

    A file is played in real time; the end comes when both sides have been quiet, or after --wait seconds. Ctrl-C hangs
    up.
    """
    _check(mic=mic, source=source, target=target, wait=wait)
    from rich.console import Console  # noqa: PLC0415  # `antiphon --help` waits for none of this

    from actors.bootstrap import client  # noqa: PLC0415
    from actors.cli.lines import Lines  # noqa: PLC0415
    from actors.cli.session_config import make_config  # noqa: PLC0415

    config = make_config(voice=voice, language=language, speed=speed, barge_in=barge_in)
    gateway = client.Gateway(url=url, key=key)
    lines = Lines(Console())
    main: Any
    if source is None:
        main = client.talk_aloud(gateway, config, show=lines.show, on_lost=lines.lost, on_listening=lines.listening)
    else:
        main = client.talk_with_files(gateway, config, source, target, show=lines.show, on_lost=lines.lost, wait_s=wait)
    completed = client.run(main)
    if not completed and source is not None:
        raise typer.Exit(_INTERRUPTED)


def _check(*, mic: bool, source: Path | None, target: Path | None, wait: float | None) -> None:
    """One of the two ways to talk, and nothing of the other."""
    if mic and source is not None:
        raise typer.BadParameter("--mic and --in exclude each other")
    if not mic and source is None:
        raise typer.BadParameter("say where your voice comes from: --mic, or --in FILE (with --out FILE)")
    if mic and (target is not None or wait is not None):
        raise typer.BadParameter("--out and --wait belong to --in")
    if source is not None and target is not None and source.resolve() == target.resolve():
        raise typer.BadParameter("--in and --out are the same file")
