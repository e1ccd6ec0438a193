"""`antiphon voices`: voice packs and their weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actors.cli.pack_options import CacheDir, VoicepacksDir
from protocol.errors import DownloadFailed, SettingsInvalid

if TYPE_CHECKING:
    from actors.bootstrap.voices import ListedVoice, Voices

app = typer.Typer(
    no_args_is_help=True,
    help="Voice packs: what there is, where it comes from, and whether it is whole.\n\n"
    "Example: antiphon voices list\n\nExample: antiphon voices pull piper-thorsten",
)

_WORKER_FILE: Final = Path("worker.yaml")
_INTERRUPTED: Final = 130

Config = Annotated[
    Path | None, typer.Option("--config", help="A YAML file; its keys: docs/configuration.md.", metavar="FILE")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_(
    *,
    as_json: AsJson = False,
    config: Config = None,
    voicepacks_dir: VoicepacksDir = None,
    cache_dir: CacheDir = None,
) -> None:
    """Show all voice packs: yours, and those that come with antiphon.

    Example: antiphon voices list
    """
    voices = _voices(config, voicepacks_dir, cache_dir)
    if as_json:
        import orjson  # noqa: PLC0415  # `antiphon --help` waits for none of this

        shown = {"voices": voices.listed(), "broken": list(voices.broken)}
        typer.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
        return
    from rich.console import Console  # noqa: PLC0415  # as above

    from actors.cli.voice_table import voice_table  # noqa: PLC0415  # as above

    Console().print(voice_table(voices.listed()))
    _tell_broken(voices)


@app.command()
def pull(
    models: Annotated[list[str], typer.Argument(help="As `voices list` names them.", metavar="MODEL...")],
    *,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read a licence that is not free, and agree.")
    ] = False,
    config: Config = None,
    voicepacks_dir: VoicepacksDir = None,
    cache_dir: CacheDir = None,
) -> None:
    """Fetch the weights of voices from the model hub, and check them.

    Example: antiphon voices pull piper-thorsten piper-siwis

    What was broken off goes on where it stopped. HF_ENDPOINT names another hub, HF_TOKEN who you are.
    """
    voices = _voices(config, voicepacks_dir, cache_dir)
    wanted = [voices.one(name) for name in dict.fromkeys(models)]
    for voice in wanted:
        if not voice.present:
            _show_licence(voice, accepted=accept_licence)
    try:
        failures = [voice.model for voice in wanted if not _pull(voices, voice)]
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on where it stopped", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    if failures:
        raise typer.Exit(1)


@app.command()
def verify(
    models: Annotated[
        list[str] | None, typer.Argument(help="All that are here, if none.", metavar="[MODEL]...", show_default=False)
    ] = None,
    *,
    config: Config = None,
    voicepacks_dir: VoicepacksDir = None,
    cache_dir: CacheDir = None,
) -> None:
    """Read all weights and compare their checksums. The status is 1 when something is wrong or missing.

    Example: antiphon voices verify
    """
    voices = _voices(config, voicepacks_dir, cache_dir)
    wanted = [voices.one(name) for name in models] if models else [v for v in voices.listed() if v.present]
    signs = {"right": "✓", "unknown": "·", "missing": "✗", "wrong": "✗"}
    bad = 0
    for voice in wanted:
        for found in voices.verify(voice.model):
            bad += found.verdict in ("wrong", "missing")
            detail = f": {found.detail}" if found.detail else ""
            typer.echo(f"{signs[found.verdict]} {voice.model:<20} {found.verdict:<8} {found.file}{detail}")
    if bad:
        typer.echo(f"{bad} file{'s' * (bad > 1)} to be pulled or installed anew", err=True)
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the new pack.", metavar="FAMILY/NAME")],
    *,
    config: Config = None,
    voicepacks_dir: VoicepacksDir = None,
) -> None:
    """Begin a voice pack of your own: metadata to fill in, and a folder for a reference recording.

    Example: antiphon voices new piper/mine
    """
    import re  # noqa: PLC0415  # as above

    if not re.fullmatch(r"[a-z0-9]{1,32}/[a-z0-9-]{1,31}", name):
        raise typer.BadParameter("a name like piper/mine is wanted, of a-z, 0-9 and -")
    family, _, own = name.partition("/")
    home = _voices(config, voicepacks_dir, None).new(family, own)
    typer.echo(f"{home}/metadata.yaml is to be filled in; then: antiphon voices list")


def _voices(config: Path | None, voicepacks_dir: Path | None, cache_dir: Path | None) -> "Voices":
    """As a worker of this directory would find them."""
    import os  # noqa: PLC0415  # as above

    from actors.bootstrap.voices import Voices  # noqa: PLC0415  # as above
    from actors.settings import WorkerSettings  # noqa: PLC0415  # as above
    from actors.settings_sources import load  # noqa: PLC0415  # as above

    flags: dict[str, Any] = {"voicepacks_dir": voicepacks_dir, "cache_dir": cache_dir}
    return Voices(load(WorkerSettings, file=config, default_file=_WORKER_FILE, environ=os.environ, flags=flags))


def _show_licence(voice: "ListedVoice", *, accepted: bool) -> None:
    """What it is, and for one that is not free the question.

    Raises:
        SettingsInvalid: it is not accepted.
    """
    typer.echo(f"{voice.model}: {voice.title}")
    typer.echo(f"  licence: {voice.licence}")
    for more in (voice.licence_note, voice.licence_url):
        if more:
            typer.echo(f"  {more}")
    if not voice.non_free or accepted:
        return
    import sys  # noqa: PLC0415  # as above

    if not sys.stdin.isatty():
        raise SettingsInvalid(f"{voice.model}: its licence is not free; if you agree to it, say so by --accept-licence")
    if not typer.confirm("  It is not free. Do you agree to it?"):
        raise typer.Exit(1)


def _pull(voices: "Voices", voice: "ListedVoice") -> bool:
    """One voice, with a bar for each file; False when it failed, which is told."""
    from actors.cli.pull_progress import PullProgress  # noqa: PLC0415  # as above

    try:
        with PullProgress(voice.model) as progress:
            fetched = voices.pull(voice.model, progress.update)
    except DownloadFailed as error:
        typer.echo(f"antiphon: {voice.model}: {error}", err=True)
        return False
    what = "pulled, and its checksums are right" if fetched else "is here, and its checksums are right"
    typer.echo(f"{voice.model}: {what}")
    if (problem := voices.one(voice.model).problem) and fetched:
        typer.echo(f"{voice.model}: {problem}")
    return True


def _tell_broken(voices: "Voices") -> None:
    for broken in voices.broken:
        typer.echo(f"the pack {broken.name} is broken: {broken.reason}", err=True)
