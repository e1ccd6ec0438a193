"""Prometheus metrics of a worker, on a thread of their own."""

import structlog
from prometheus_client import start_http_server

from protocol.errors import SettingsInvalid

log = structlog.get_logger()


def serve_metrics(section: str, host: str, port: int | None) -> None:
    """Serve `/metrics` from now on until the process ends; nothing without a port.

    Raises:
        SettingsInvalid: nobody can listen there.
    """
    if port is None:
        return
    try:
        server, _ = start_http_server(port, addr=host)
    except (OSError, OverflowError) as error:  # a port beyond the last one is the latter
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        advice = "each worker on a machine needs a port of its own; 0 takes any that is free"
        raise SettingsInvalid(f"{section}.metrics_port: cannot listen at {host}:{port}: {reason}; {advice}") from error
    log.info("metrics are served", host=host, port=server.server_port)
