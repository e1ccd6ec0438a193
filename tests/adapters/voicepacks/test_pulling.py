import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.voicepacks import VoicePack
from adapters.voicepacks.hub import Hub
from adapters.voicepacks.pulling import pull
from adapters.voicepacks.verifying import verify
from protocol.errors import DownloadFailed
from tests.adapters.voicepacks.shelf import hub_source, put, the_pack
from tests.fakes.hub import FakeHub, serving

WEIGHTS = bytes(range(256)) * 4_000
CONFIG = b'{"sample_rate": 22050}'


@pytest.fixture(autouse=True)
def nobodys_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with serving(FakeHub({"deep/model.onnx": WEIGHTS, "deep/model.onnx.json": CONFIG})) as hub:
        yield hub


def a_pack(folder: Path, hub: FakeHub, *, sums: bool = True) -> VoicePack:
    put(folder, source=hub_source(hub, sums=sums))
    return the_pack(folder)


async def pulled(pack: VoicePack, hub: FakeHub, seen: list[tuple[str, int, int]] | None = None) -> bool:
    heard = seen if seen is not None else []
    return await pull(pack, Hub(hub.endpoint), on_progress=lambda *what: heard.append(what), pause_s=0.0)


def content_of(pack: VoicePack) -> dict[str, bytes]:
    return {file.name: file.path.read_bytes() for file in pack.files()}


def parts_of(pack: VoicePack) -> list[Path]:
    return list(pack.folder().rglob("*.part"))


@pytest.mark.parametrize("sums", [True, False], ids=["stated", "asked of the hub"])
async def test_what_is_pulled_is_there_whole_and_verified(tmp_path: Path, hub: FakeHub, *, sums: bool) -> None:
    pack = a_pack(tmp_path, hub, sums=sums)
    assert pack.why_absent() == "not pulled: antiphon voices pull fam-one"
    seen: list[tuple[str, int, int]] = []
    assert await pulled(pack, hub, seen)
    assert pack.is_present()
    assert content_of(pack) == hub.files
    assert not parts_of(pack)
    assert [found.verdict for found in verify(pack)] == ["right", "right"]
    assert ("deep/model.onnx", len(WEIGHTS), len(WEIGHTS)) in seen


async def test_what_is_there_already_is_not_asked_for(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub, sums=False)
    await pulled(pack, hub)
    hub.asked.clear()
    assert not await pulled(pack, hub)
    assert not hub.asked


async def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    hub.break_after = [300_000, 0, 200_000]
    await pulled(pack, hub)
    assert content_of(pack) == hub.files
    ranges = [asked.range for asked in hub.with_bytes]
    assert ranges[0] == ""
    begun = [int(one.removeprefix("bytes=").removesuffix("-")) for one in ranges[1:]]
    assert begun == sorted(begun)
    assert begun[0] > 0


async def test_after_too_many_broken_connections_the_next_pull_goes_on(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    hub.break_after = [400_000, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed, match=r"broken off after \d+ of 1024000 bytes"):
        await pulled(pack, hub)
    (part,) = parts_of(pack)
    have = part.stat().st_size
    assert 0 < have <= 400_000
    assert not pack.is_present()
    hub.asked.clear()
    await pulled(pack, hub)
    assert hub.with_bytes[0].range == f"bytes={have}-"
    assert content_of(pack) == hub.files


async def test_a_pull_that_is_cancelled_leaves_what_it_has(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    some = asyncio.Event()
    hub.break_after = [400_000]

    def on_progress(_name: str, here: int, _size: int) -> None:
        if here:
            some.set()

    task = asyncio.create_task(pull(pack, Hub(hub.endpoint), on_progress=on_progress, pause_s=60.0))
    await asyncio.wait_for(some.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert parts_of(pack)
    await pulled(pack, hub)
    assert content_of(pack) == hub.files


async def test_a_server_that_does_not_know_ranges_begins_anew(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    hub.break_after, hub.ignores_range = [300_000], True
    await pulled(pack, hub)
    assert content_of(pack) == hub.files


async def test_a_server_in_trouble_is_asked_again(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    hub.refuse = [503, 429, 500]
    await pulled(pack, hub)
    assert pack.is_present()


async def test_a_server_that_refuses_is_not(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    hub.refuse = [403]
    with pytest.raises(DownloadFailed, match="403"):
        await pulled(pack, hub)
    assert len(hub.with_bytes) == 1


@pytest.mark.parametrize("sums", [True, False], ids=["stated", "asked of the hub"])
async def test_wrong_bytes_are_deleted(tmp_path: Path, hub: FakeHub, *, sums: bool) -> None:
    pack = a_pack(tmp_path, hub, sums=sums)
    hub.wrong = bytes(len(WEIGHTS))
    with pytest.raises(DownloadFailed, match=r"model\.onnx: its SHA-256 is .* instead of .*; it was deleted"):
        await pulled(pack, hub)
    assert not parts_of(pack)
    assert not pack.is_present()


async def test_a_wrong_small_file_is_known_by_what_git_calls_it(tmp_path: Path) -> None:
    async with serving(FakeHub({"config.json": CONFIG})) as hub:
        pack = a_pack(tmp_path, hub, sums=False)
        hub.wrong = CONFIG[::-1]
        with pytest.raises(DownloadFailed, match="git would call it"):
            await pulled(pack, hub)


async def test_more_bytes_than_there_should_be_are_not_kept(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    hub.wrong = WEIGHTS + b"more"
    with pytest.raises(DownloadFailed, match="more than 1024000 bytes"):
        await pulled(pack, hub)
    assert not any(part.stat().st_size for part in parts_of(pack))


async def test_a_hub_that_has_another_file_than_the_pack_means_is_not_fetched_from(
    tmp_path: Path, hub: FakeHub
) -> None:
    pack = a_pack(tmp_path, hub)
    hub.files["deep/model.onnx"] = WEIGHTS[::-1]
    with pytest.raises(DownloadFailed, match="the pack states SHA-256"):
        await pulled(pack, hub)
    assert not hub.with_bytes


async def test_a_file_that_was_spoilt_is_found_and_pulled_again(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub, sums=False)
    await pulled(pack, hub)
    spoilt = pack.files()[0].path
    spoilt.write_bytes(WEIGHTS[:-1] + b"x")
    assert pack.is_present()
    assert [found.verdict for found in verify(pack)] == ["wrong", "right"]
    assert await pulled(pack, hub)
    assert content_of(pack) == hub.files


async def test_a_full_disk_is_noticed_before_anything_is_fetched(
    tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = a_pack(tmp_path, hub)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=60 * 2**20))
    with pytest.raises(DownloadFailed, match="60 MiB left"):
        await pulled(pack, hub)
    assert not hub.with_bytes


async def test_a_part_of_another_version_is_thrown_away(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    old = pack.folder() / "deep" / "model.onnx.0000.part"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of long ago")
    await pulled(pack, hub)
    assert not old.exists()
    assert content_of(pack) == hub.files


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gated": True}, "its owner must let you in: agree to its terms"),
        ({"hidden": True}, "has no such repository"),
        ({"files": {}}, "there is no deep/model.onnx in commit"),
    ],
)
async def test_a_refusal_of_the_hub_says_what_to_do(
    tmp_path: Path, hub: FakeHub, change: dict[str, object], reason: str
) -> None:
    pack = a_pack(tmp_path, hub)
    for name, value in change.items():
        setattr(hub, name, value)
    with pytest.raises(DownloadFailed, match=reason):
        await pulled(pack, hub)


async def test_a_hub_that_is_not_there_is_named(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    with pytest.raises(DownloadFailed, match=r"http://127\.0\.0\.1:9 cannot be asked"):
        await pull(pack, Hub("http://127.0.0.1:9"), on_progress=lambda *_: None)


async def test_a_token_opens_a_gated_repository_and_goes_nowhere_else(
    tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.gated = True
    pack = a_pack(tmp_path, hub)
    await pulled(pack, hub)
    assert {asked.authorization for asked in hub.asked if asked.origin == "hub"} == {"Bearer hf_secret"}
    assert {asked.authorization for asked in hub.with_bytes} == {""}


async def test_two_pulls_of_one_file_do_not_mix(tmp_path: Path, hub: FakeHub) -> None:
    pack = a_pack(tmp_path, hub)
    both = await asyncio.gather(pulled(pack, hub), pulled(pack, hub), return_exceptions=True)
    assert any(outcome is True for outcome in both)
    assert all(outcome is True or "another process" in str(outcome) for outcome in both)
    assert content_of(pack) == hub.files


async def test_a_pack_that_comes_with_a_package_is_not_pulled(tmp_path: Path, hub: FakeHub) -> None:
    put(tmp_path, source={"package": "no_such_package", "distribution": "some-package"})
    with pytest.raises(DownloadFailed, match="install some-package"):
        await pulled(the_pack(tmp_path), hub)
