"""The gateway process: page and doors, sessions, voice activity, router, replies."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web
from pydantic import SecretStr

from actors.bootstrap.advice import VoiceAdvice
from actors.bootstrap.bus import connect
from actors.bootstrap.process import run_part
from actors.bootstrap.ready import say_ready
from actors.bootstrap.registry import open_registry
from actors.directory import Directory
from actors.fleet import Fleet
from actors.gateway import Gateway, call_later
from actors.liveness import LivingRegistry
from actors.mailbox import Mailbox
from actors.peer_ports import MakeSession, VadOptions
from actors.policies.playout import PlayoutGate
from actors.policies.turn_taking.settings import TurnTakingSettings
from actors.references import References
from actors.router import Router
from actors.routing_service import RoutingService
from actors.services import Offer, router_service
from actors.session import Session
from actors.sessions.mouth import ReplyTimes
from actors.sessions.ports import Sound
from actors.sessions.standing import Note
from actors.settings import GatewaySettings, LlmSettings
from actors.vad import Detector
from actors.warming import Warmer
from adapters.llm.echo import EchoReply
from adapters.llm.openai import OpenAIReply
from adapters.references.nats_objects import NatsReferences
from adapters.registry.nats_sessions import NatsSessions
from adapters.transport.http import make_app
from adapters.transport.reference_http import ReferenceLimits
from adapters.vad.silero import SileroModel
from protocol.conversation import SessionConfig
from protocol.errors import SettingsInvalid
from protocol.ids import Millis, ModelId, SessionId
from protocol.message import Message
from protocol.ports import Bus, ConversationHost, ReferenceDesk, ReplyGenerator, WorkerFleet

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_HTTP_CLOSE_S: Final = 0.5
_LLM_SLACK_S: Final = 5.0
"""The session gives a reply up in its own words; the connection's time-out is there in case nobody waits any more."""
_PAGE: Final = Path(__file__).resolve().parents[2] / "adapters" / "web"

log = structlog.get_logger()


def run(settings: GatewaySettings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        AntiphonError: what made it end.
    """
    run_part("gateway", partial(_serve, settings), log_level=settings.log_level)


async def _serve(settings: GatewaySettings, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        bus = await connect(settings.nats, name="gateway")
        stack.push_async_callback(bus.close)
        registry = LivingRegistry(open_registry(settings.registry, bus, settings.redis), bus)
        stack.push_async_callback(registry.close)
        warmer = Warmer(bus, clock=time.monotonic)
        stack.push_async_callback(warmer.close)
        advice = VoiceAdvice()
        router = Router(
            registry,
            default_voice=ModelId(settings.voice),
            warmer=warmer,
            advise=advice.on,
            first_tie=os.getpid(),
        )
        await router.start()
        routing = RoutingService(bus, router)
        stack.callback(routing.stop)
        await routing.start()
        offer = Offer(bus)
        stack.callback(offer.end)
        await offer.show(router_service())
        detector = Detector(SileroModel(), Mailbox(asyncio.get_running_loop()))
        stack.callback(detector.stop)
        replies = _replies(settings.llm)
        stack.push_async_callback(replies.close)
        references = References(NatsReferences(bus), call_later=call_later, may_keep=settings.keep_references)
        stack.push_async_callback(references.close)
        sessions = NatsSessions(bus)
        stack.push_async_callback(sessions.close)
        directory = Directory(sessions, gateway=settings.name)
        gateway = Gateway(
            bus=bus,
            choice=router,
            ears=detector,
            make_session=_session_maker(settings, bus, router, replies, directory.note),
            defaults=settings.session_defaults,
            max_sessions=settings.max_sessions,
            linger_s=settings.linger_s,
            vad_options=_vad_options(settings),
            references=references,
        )
        stack.push_async_callback(gateway.close)
        await gateway.start()
        fleet = Fleet(bus, registry)
        stack.push_async_callback(fleet.close)
        stack.callback(router.watch(fleet.on_worker))
        await stack.enter_async_context(_listening(settings, gateway, fleet, references))
        _set_aside_what_stays()
        say_ready("gateway", _url(settings))
        await asyncio.to_thread(advice.read)
        await stop.wait()


def _set_aside_what_stays() -> None:
    """Let the garbage collector look at sessions only.

    A closed session is a cycle of objects. CPython makes a full collection when a quarter of what the last one has left
    is new, which beside a hundred thousand objects of our imports is hundreds of sessions. What is frozen is not looked
    at; the second collection, of almost nothing, is what sets that quarter.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


def _replies(llm: LlmSettings) -> ReplyGenerator:
    if not llm.base_url:
        return EchoReply()
    return OpenAIReply(
        base_url=llm.base_url,
        model=llm.model,
        api_key=llm.api_key.get_secret_value(),
        system_prompt=llm.system_prompt,
        temperature=llm.temperature,
        max_tokens=llm.max_tokens,
        silence_timeout_s=max(llm.first_text_timeout_s, llm.silence_timeout_s) + _LLM_SLACK_S,
    )


def _vad_options(settings: GatewaySettings) -> VadOptions:
    vad = settings.vad
    return VadOptions(threshold=vad.threshold, start_windows=vad.start_windows, stop_ms=Millis(vad.stop_ms))


def _session_maker(
    settings: GatewaySettings, bus: Bus, router: Router, replies: ReplyGenerator, note: Note
) -> MakeSession:
    turn_taking = TurnTakingSettings(
        wordless_limit_ms=Millis(settings.wordless_limit_ms), prepare=settings.prepare, apology=settings.apology
    )
    times = ReplyTimes(first_text_s=settings.llm.first_text_timeout_s, next_text_s=settings.llm.silence_timeout_s)

    def make(
        *,
        session: SessionId,
        config: SessionConfig,
        gate: PlayoutGate,
        sound: Sound,
        emit: Callable[[Message], None],
    ) -> Session:
        return Session(
            session=session,
            config=config,
            bus=bus,
            gate=gate,
            sound=sound,
            router=router,
            replies=replies,
            clock=time.monotonic,
            emit=emit,
            call_later=call_later,
            settings=turn_taking,
            reply_times=times,
            silence_s=settings.vad.stop_ms / 1000,
            note=note,
        )

    return make


@asynccontextmanager
async def _listening(
    settings: GatewaySettings, host: ConversationHost, fleet: WorkerFleet, references: ReferenceDesk
) -> AsyncIterator[None]:
    """The HTTP server, until the context is left."""
    key, admin_key = _secret(settings.api_key), _secret(settings.admin_key)
    if not key and settings.host not in _LOOPBACK:
        log.warning("everybody who reaches this port may talk: set ANTIPHON_API_KEY", host=settings.host)
    app = make_app(
        host,
        api_key=key,
        fleet=fleet,
        admin_key=admin_key,
        references=references,
        reference_limits=ReferenceLimits(upload_bytes=settings.reference_max_bytes),
        is_local=settings.host in _LOOPBACK,
        page_dir=_PAGE,
        ice_servers=settings.stun_servers,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_HTTP_CLOSE_S, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, reuse_address=True).start()
    except OSError as error:
        await runner.cleanup()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SettingsInvalid(
            f"port: cannot listen on {settings.host}:{settings.port}: {reason}; choose another with --port"
        ) from error
    try:
        yield
    finally:
        await runner.cleanup()


def _secret(given: SecretStr | None) -> str | None:
    """None for an empty one, too: a variable that is set to nothing is no key."""
    return (given.get_secret_value() or None) if given is not None else None


def _url(settings: GatewaySettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}/"
