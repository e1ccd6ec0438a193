"""Fetches one file over HTTP, goes on where it was broken off, and keeps it only if it is what it should be."""

import asyncio
import fcntl
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import aiohttp

from adapters.voicepacks.checksums import git_blob_of, note, sha256_of
from adapters.voicepacks.hub import RemoteFile
from protocol.errors import DownloadFailed

OnBytes = Callable[[int], None]
"""Called with how many bytes of the file are here."""

_BLOCK: Final = 2**18
_ATTEMPTS: Final = 5
"""Without a single new byte."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
_OK, _PARTIAL, _BEYOND_THE_END, _BUSY, _SERVER_ERROR = 200, 206, 416, 429, 500


class _Broken(Exception):  # it never leaves this module
    """The connection was lost, or the server is in trouble: to be tried again."""


async def download(
    session: aiohttp.ClientSession,
    remote: RemoteFile,
    target: Path,
    *,
    sha256: str | None,
    on_bytes: OnBytes,
    pause_s: float = 1.0,
) -> None:
    """The file, in its place, and a note of its SHA-256 beside it.

    Args:
        session: to ask with.
        remote: what the hub says of the file.
        target: where it is to be.
        sha256: what it must have; if None, what the hub says, as far as it does.
        on_bytes: hears of progress.
        pause_s: before the first repetition; it doubles.

    Raises:
        DownloadFailed: with the reason. What has come is kept for the next time, unless it is wrong.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{remote.etag[:16]}.part")
    for outdated in target.parent.glob(f"{target.name}.*.part"):
        if outdated != part:
            outdated.unlink()
    with _alone(part) as file:
        await _fetch(session, remote, file, on_bytes, pause_s)
    digest = await asyncio.to_thread(sha256_of, part)
    wrong = _what_is_wrong(part, digest, sha256, remote)
    if wrong:
        part.unlink()
        raise DownloadFailed(f"{target.name}: {wrong}; it was deleted")
    note(target, digest)
    part.replace(target)


def _what_is_wrong(part: Path, digest: str, sha256: str | None, remote: RemoteFile) -> str:
    wanted = sha256 or remote.sha256
    if wanted is not None:
        return "" if digest == wanted else f"its SHA-256 is {digest} instead of {wanted}"
    if remote.git_blob is not None and (name := git_blob_of(part)) != remote.git_blob:
        return f"git would call it {name} instead of {remote.git_blob}"
    return ""


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The file to append to, for this process alone."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DownloadFailed(f"{part.name}: another process is fetching it") from error
        yield file


async def _fetch(
    session: aiohttp.ClientSession, remote: RemoteFile, file: IO[bytes], on_bytes: OnBytes, pause_s: float
) -> None:
    left, pause = _ATTEMPTS, pause_s
    while (before := file.tell()) != remote.size:
        if before > remote.size:
            file.truncate(0)
            continue
        try:
            await _ask(session, remote, file, on_bytes)
        except (_Broken, aiohttp.ClientError, TimeoutError) as error:
            if file.tell() > before:
                left, pause = _ATTEMPTS, pause_s
            left -= 1
            if not left:
                reason = str(error) or type(error).__name__
                raise DownloadFailed(
                    f"broken off after {file.tell()} of {remote.size} bytes ({reason}); the same command goes on there"
                ) from error
            await asyncio.sleep(pause)
            pause *= 2
    on_bytes(remote.size)


async def _ask(session: aiohttp.ClientSession, remote: RemoteFile, file: IO[bytes], on_bytes: OnBytes) -> None:
    """One request for what is missing."""
    have = file.tell()
    headers = {**remote.headers, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    async with session.get(remote.url, headers=headers, timeout=_TIMEOUT) as response:
        _check_status(response.status)
        if response.status != _PARTIAL or _first_byte(response) != have:
            file.truncate(0)  # the server begins anew, or has another file by now
            if response.status != _OK:
                raise _Broken("the server does not go on where it was asked to")
        async for block in response.content.iter_chunked(_BLOCK):
            file.write(block)
            if file.tell() > remote.size:
                file.truncate(0)
                raise DownloadFailed(f"{remote.url} sends more than {remote.size} bytes")
            on_bytes(file.tell())
    if file.tell() != remote.size:
        raise _Broken("the server stopped in between")


def _check_status(status: int) -> None:
    if status in (_OK, _PARTIAL, _BEYOND_THE_END):
        return
    if status == _BUSY or status >= _SERVER_ERROR:
        raise _Broken(f"the server answers {status}")
    raise DownloadFailed(f"the server answers {status}")


def _first_byte(response: aiohttp.ClientResponse) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found.group(1)) if found else None
