"""Brings a pack's weights from its hub onto this machine."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp

from adapters.voicepacks.checksums import noted, sha256_of
from adapters.voicepacks.download import download
from adapters.voicepacks.hub import Hub, RemoteFile
from adapters.voicepacks.metadata import VoicePack
from adapters.voicepacks.sources import HubSource, Located
from protocol.errors import DownloadFailed

OnProgress = Callable[[str, int, int], None]
"""Called with a file's name, how many bytes of it are here, and how many it has."""

_RESERVE: Final = 64 * 2**20
"""Bytes of the disk that are left to others."""


async def pull(pack: VoicePack, hub: Hub, *, on_progress: OnProgress, pause_s: float = 1.0) -> bool:
    """Fetch what is missing or wrong; False when nothing was.

    Raises:
        DownloadFailed: with the reason; what has come is kept for the next time, unless it is wrong.
    """
    if not isinstance(pack.source, HubSource):
        raise DownloadFailed(f"{pack.model_id} is not pulled from a hub: {pack.why_absent() or 'it is here'}")
    wanted = [file for file in pack.files() if not await asyncio.to_thread(is_right, file)]
    if not wanted:
        return False
    found = [(file, await _look_up(hub, pack.source, file)) for file in wanted]
    _check_room(pack.folder(), sum(remote.size - _begun(file) for file, remote in found))
    async with aiohttp.ClientSession(trust_env=True) as session:
        for file, remote in found:
            file.path.unlink(missing_ok=True)

            def on_bytes(here: int, name: str = file.name, size: int = remote.size) -> None:
                on_progress(name, here, size)

            await download(session, remote, file.path, sha256=file.sha256, on_bytes=on_bytes, pause_s=pause_s)
    return True


def is_right(file: Located) -> bool:
    """Whether it is here and has the SHA-256 that the pack states, or else that was noted when it came."""
    expected = file.sha256 or noted(file.path)
    return expected is not None and file.path.is_file() and sha256_of(file.path) == expected


async def _look_up(hub: Hub, source: HubSource, file: Located) -> RemoteFile:
    remote = await asyncio.to_thread(hub.look_up, source.hub, source.revision, file.name)
    for what, ours, theirs in (("SHA-256", file.sha256, remote.sha256), ("size", file.size, remote.size)):
        if None not in (ours, theirs) and ours != theirs:
            raise DownloadFailed(f"{file.name}: the pack states {what} {ours}, the hub {theirs}; nothing was fetched")
    return remote


def _begun(file: Located) -> int:
    """Bytes of it that an earlier attempt has left."""
    return sum(part.stat().st_size for part in file.path.parent.glob(f"{file.path.name}.*.part"))


def _check_room(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size + _RESERVE:
        raise DownloadFailed(
            f"{folder} has {free / 2**20:.0f} MiB left; {size / 2**20:.0f} MiB are to be fetched: "
            "make room, or name another folder with --cache-dir"
        )
