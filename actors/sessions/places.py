"""Asks workers for a place to speak: the best candidate first, and who refuses is passed over."""

import asyncio
import dataclasses
from collections.abc import Collection
from typing import Any, Final

import structlog

from actors.policies.routing import Placement
from actors.sessions.place import Place
from actors.sessions.ports import Router
from actors.sessions.wishes import Wanted
from protocol.errors import BusUnavailable, MalformedMessage, NobodyListens, Refused
from protocol.ids import ModelId, SessionId, WorkerName
from protocol.ports import Bus
from protocol.refusals import Refusal
from protocol.routing import WhenCold
from protocol.speaking import EndSpeaking, SpeakingReady, StartSpeaking
from protocol.subjects import tts_command

RESIDENT_TIMEOUT_S: Final = 1.0
"""A worker that has the model answers within milliseconds; one that hangs has been missed by its pulse by then."""
COLD_TIMEOUT_S: Final = 30.0
"""A model that is not resident has to be loaded first, perhaps behind another one."""
HASTE_S: Final = 5.0
"""In the middle of a reply another voice is better than a long silence."""

UNREACHABLE: Final = "voice-unreachable"
_TAKES_NOBODY: Final = frozenset({"too-many-sessions", "draining", UNREACHABLE})
"""Refusals that another voice would get from the same worker, too."""

_OF_WHO_IS_HERE: Final = frozenset({"no-capacity", "model-not-resident"})
"""Refusals to which a worker that is late has no part."""

log = structlog.get_logger()


class Places:
    """On the loop. The worker itself grants a place, so that no number of routers can overfill it."""

    def __init__(self, *, session: SessionId, bus: Bus, router: Router) -> None:
        self._session = session
        self._bus = bus
        self._router = router

    def look(self, wanted: Wanted, *, here: Place | None = None) -> Place:
        """Who would be asked first; who has our place (`here`) already need not have another one. Changes nothing.

        Raises:
            Refused: nobody can serve this.
        """
        try:
            placement = self._router.choose_tts(
                voice=wanted.voice, language=wanted.language, when_cold=wanted.when_cold, tentative=True
            )
        except Refused as refused:
            placed = None if here is None or refused.code != "no-capacity" else here.changed_to(wanted)
            if placed is None:
                raise
            return placed
        return _place(placement, wanted)

    def may_return(self, wanted: Wanted, refused: Refused) -> bool:
        """Whether this was refused only because somebody who could serve it has been silent for moments."""
        late = refused.code not in _OF_WHO_IS_HERE
        return late and self._router.may_return(voice=wanted.voice, language=wanted.language)

    def look_for_any(self, wanted: Wanted) -> Place:
        """The same, in any voice of the language if the wanted one can't be had.

        Raises:
            Refused: nobody can serve this.
        """
        try:
            return self.look(dataclasses.replace(wanted, when_cold="fallback"))
        except Refused:
            return self.look(dataclasses.replace(wanted.in_any_voice(), when_cold="fallback"))

    def have_loaded(self, wanted: Wanted) -> None:
        """What is wanted is in nobody's memory: have the best worker load it in the background."""
        self._router.choose_tts(voice=wanted.voice, language=wanted.language, when_cold="fallback")

    def why_cold(self, model: ModelId) -> str:
        """Why a model that was to be loaded is not there; empty if nothing is known to be wrong with it."""
        return self._router.why_cold(model)

    async def take(
        self,
        wanted: Wanted,
        *,
        when_cold: WhenCold | None = None,
        avoid: Collection[WorkerName] = (),
        full: set[WorkerName] | None = None,
        patience_s: float = COLD_TIMEOUT_S,
    ) -> Place:
        """A place at the first candidate that grants one.

        Args:
            wanted: the voice.
            when_cold: instead of what `wanted` says.
            avoid: not asked.
            full: not asked either; who turns out to take nobody, in whatever voice, is added.
            patience_s: how long each one may load a model.

        Raises:
            Refused: the last one who was asked says why; or there is nobody to ask.
        """
        tried, refusal = set(avoid) | (full or set()), None
        while True:
            try:
                placement = self._router.choose_tts(
                    voice=wanted.voice,
                    language=wanted.language,
                    when_cold=when_cold or wanted.when_cold,
                    avoid=frozenset(tried),
                )
            except Refused as refused:
                raise refusal or refused from None
            place = _place(placement, wanted)
            try:
                await self.start_at(place, patience_s=patience_s)
            except Refused as refused:
                log.info("passed over", session=self._session, worker=place.name, code=refused.code)
                refusal = refused
                tried.add(place.name)
                if full is not None and refused.code in _TAKES_NOBODY:
                    full.add(place.name)
            else:
                return place

    async def take_any(self, wanted: Wanted, *, doubted: Collection[WorkerName] = ()) -> Place:
        """In the middle of a reply: who can speak on at once, in the wanted voice if that is possible.

        Args:
            wanted: the voice.
            doubted: asked last.

        Raises:
            Refused: nobody can.
        """
        any_voice = wanted.in_any_voice()
        refusal: Refused | None = None
        full: set[WorkerName] = set()
        for wish, avoid in ((wanted, doubted), (any_voice, doubted), (wanted, ()), (any_voice, ())):
            try:
                return await self.take(wish, when_cold="fallback", avoid=avoid, full=full, patience_s=HASTE_S)
            except Refused as refused:
                refusal = refusal or refused
        raise refusal or Refused("no-voice", "No worker speaks.")

    async def start_at(self, place: Place, *, patience_s: float = COLD_TIMEOUT_S) -> None:
        """Ask this one. Whoever does not answer in time has the request taken back.

        Raises:
            Refused: by the worker; `voice-unreachable`.
        """
        try:
            answer = await self._ask(place, patience_s)
        except asyncio.CancelledError:
            self.leave(place.name)  # the session ends: nobody would
            raise
        except (BusUnavailable, MalformedMessage) as error:
            self.leave(place.name)
            raise Refused(UNREACHABLE, f"The worker {place.name} does not answer as it should.") from error
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.reason)
        if not isinstance(answer, SpeakingReady):
            raise Refused("voice-confused", f"The worker {place.name} gives an answer that is none.")

    async def _ask(self, place: Place, patience_s: float) -> Any:
        subject, command = tts_command(self._session, place.name), _start(self._session, place)
        if place.resident and place.reference is None:  # a recording has to be fetched and learned first
            try:
                return await self._bus.request(subject, command, timeout_s=RESIDENT_TIMEOUT_S)
            except NobodyListens:
                raise
            except BusUnavailable:
                if not self._router.lives(place.name):
                    raise  # else it has just unloaded the model, and loads it again
        return await self._bus.request(subject, command, timeout_s=patience_s)

    def stay(self, place: Place) -> None:
        """A worker that speaks for us was asked for something else in vain: it may have given up what it had."""
        self._bus.publish(tts_command(self._session, place.name), _start(self._session, place))

    def leave(self, worker: WorkerName) -> None:
        """The place there is free again."""
        self._bus.publish(tts_command(self._session, worker), EndSpeaking(session=self._session))


def _place(placement: Placement, wanted: Wanted) -> Place:
    place = Place(worker=placement.worker, model=placement.model, instead_of=placement.instead_of)
    return place.agreeing(wanted)


def _start(session: SessionId, place: Place) -> StartSpeaking:
    return StartSpeaking(
        session=session, model=place.model, language=place.language, speed=place.speed, reference=place.reference
    )
