import structlog

from actors.services import Offer, router_service, worker_service
from protocol.errors import BusUnavailable
from protocol.ids import WorkerName
from protocol.ports import Subscription
from protocol.services import Service
from protocol.subjects import parse
from protocol.workers import Announcement
from tests.fakes.bus import FakeBus

VOICE = Announcement(name=WorkerName("tts-hibari-0"), addr="")
EAR = Announcement(name=WorkerName("asr-whisper-0"), addr="", kind="asr")


def test_a_worker_shows_its_verbs_and_who_it_is() -> None:
    service = worker_service(VOICE, family="hibari")
    assert (service.name, dict(service.metadata)) == ("antiphon-tts", {"worker": "tts-hibari-0", "family": "hibari"})
    assert [it.subject for it in service.endpoints][:2] == [
        "control.worker.tts-hibari-0.capabilities",
        "control.worker.tts-hibari-0.list_models",
    ]
    assert [it.name for it in service.endpoints][2:] == ["load_model", "unload_model", "reload", "drain"]


def test_a_recognizer_shows_only_what_it_answers() -> None:
    service = worker_service(EAR, family="whisper")
    assert service.name == "antiphon-asr"
    assert [it.name for it in service.endpoints] == ["capabilities", "list_models", "drain"]


def test_a_router_shows_the_group_that_it_answers_in() -> None:
    (endpoint,) = router_service().endpoints
    assert (endpoint.subject, endpoint.queue) == ("control.router.route", "routers")


def test_every_endpoint_is_a_subject_of_ours() -> None:
    for service in (worker_service(VOICE, family="x"), worker_service(EAR, family="x"), router_service()):
        for endpoint in service.endpoints:
            assert parse(endpoint.subject).name == endpoint.name


async def test_a_service_is_shown_once_and_until_it_ends() -> None:
    bus = FakeBus()
    offer = Offer(bus)
    service = router_service()
    await offer.show(service)
    await offer.show(service)
    assert bus.services == [service]
    offer.end()
    offer.end()
    assert bus.services == []


async def test_a_server_that_does_not_let_us_show_it_keeps_nobody_from_working() -> None:
    class Forbidding(FakeBus):
        async def offer(self, service: Service) -> Subscription:
            raise BusUnavailable(f"not allowed: {service.name}")

    with structlog.testing.capture_logs() as logs:
        offer = Offer(Forbidding())
        await offer.show(router_service())
        offer.end()
    assert logs[0]["event"] == "service not shown"
