"""The recordings that a TTS worker's sessions imitate: fetched once, forgotten with the last of them. On the loop."""

import asyncio
from dataclasses import dataclass, field

import structlog

from actors.voices import LoadedVoice
from protocol.errors import BusUnavailable, Refused
from protocol.ids import SessionId
from protocol.ports import Reference, ReferenceStore
from protocol.speaking import ReferenceId

log = structlog.get_logger()


@dataclass(slots=True)
class _Recording:
    fetching: "asyncio.Task[Reference]"
    sessions: set[SessionId] = field(default_factory=set)
    voices: set[LoadedVoice] = field(default_factory=set)


class Recordings:
    """Neither sound nor text is ever logged, only names and lengths."""

    def __init__(self, store: ReferenceStore | None) -> None:
        """Without a store, no recording can be had."""
        self._store = store
        self._held: dict[ReferenceId, _Recording] = {}

    async def imitate(self, session: SessionId, name: ReferenceId, voice: LoadedVoice) -> None:
        """Have the voice imitate this recording for the session, and let go of what it imitated before.

        Raises:
            Refused: `no-such-reference`, `reference-unreachable`, or `cannot-imitate` with the model's reason.
        """
        reference = await self._fetched(session, name)
        recording = self._held.get(name)
        if recording is None:
            raise Refused("no-such-reference", "The session has ended.")
        recording.voices.add(voice)
        try:
            await voice.imitate(name, reference)
        except Refused:
            self._leave(session, name)
            raise
        for former in [other for other, held in self._held.items() if session in held.sessions and other != name]:
            self._leave(session, former)

    def leave(self, session: SessionId) -> None:
        """The session imitates nobody any more; harmless when it did not."""
        for name in [name for name, held in self._held.items() if session in held.sessions]:
            self._leave(session, name)

    async def _fetched(self, session: SessionId, name: ReferenceId) -> Reference:
        if self._store is None:
            raise Refused("no-such-reference", "This worker knows no store of recordings.")
        recording = self._held.get(name)
        if recording is None:
            recording = self._held[name] = _Recording(asyncio.create_task(self._fetch(self._store, name)))
        recording.sessions.add(session)
        try:
            await self._store.claim(name, session)
            return await asyncio.shield(recording.fetching)
        except BusUnavailable as error:
            self._leave(session, name)
            raise Refused("reference-unreachable", str(error)[:1000]) from error
        except BaseException:
            self._leave(session, name)
            raise

    async def _fetch(self, store: ReferenceStore, name: ReferenceId) -> Reference:
        reference = await store.get(name)
        log.info("a recording was fetched", reference=name, seconds=round(reference.seconds, 1))
        return reference

    def _leave(self, session: SessionId, name: ReferenceId) -> None:
        recording = self._held.get(name)
        if recording is None:
            return
        recording.sessions.discard(session)
        if recording.sessions:
            return
        del self._held[name]
        if not recording.fetching.cancel():
            recording.fetching.exception()  # retrieved: who waited for it has been told
        for voice in recording.voices:
            voice.forget(name)
