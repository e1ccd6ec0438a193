"""What `antiphon route` is made of: a question to whichever router answers."""

from actors.bootstrap.bus import connect
from actors.logs import configure_logging
from actors.settings import NatsSettings
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.routing import Route, Routed, RouteRefused
from protocol.subjects import router


async def ask(nats: NatsSettings, route: Route) -> Routed | RouteRefused:
    """The answer, refusals too.

    Raises:
        BusUnavailable: no server answers, or no router.
    """
    configure_logging("critical")  # what matters to the user is the answer
    bus = await connect(nats, name="route")
    try:
        answer = await bus.request(router(), route)
    except BusUnavailable as error:
        raise BusUnavailable(f"{error}; routers are in gateways: is one running?") from error
    except MalformedMessage as error:
        raise BusUnavailable(f"a router's answer cannot be read: {error}") from error
    finally:
        await bus.close()
    if not isinstance(answer, Routed | RouteRefused):
        raise BusUnavailable("who answers on control.router.route is no router")
    return answer
