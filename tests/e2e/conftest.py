"""One system for all tests of this folder, and a place to say what was measured."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.bench.tap import Tap
from tests.e2e.system import System


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`antiphon up` with real models; ended by Ctrl-C, which must leave nothing over."""
    system = System(tmp_path_factory.mktemp("up")).wait_until_complete()
    try:
        yield system
        system.stop()
    finally:
        system.kill()


@pytest.fixture
async def tap(system: System) -> AsyncIterator[Tap]:
    """An observer on the system's bus."""
    tap = await Tap.connect(system.nats_url)
    yield tap
    await tap.close()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a figure into the test run's own output, where it is not captured; with xdist, into the test's."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")

    def write(text: str) -> None:
        line = f"  {request.node.name}: {text}"
        if reporter is None:  # a worker of xdist has no terminal
            sys.stdout.write(f"{line}\n")
            return
        reporter.ensure_newline()
        reporter.write_line(line)

    return write
