"""Packs in a temporary folder."""

from pathlib import Path
from typing import Any

import yaml

from adapters.voicepacks import VoicePack, find_packs
from tests.fakes.hub import COMMIT, FakeHub


def put(folder: Path, name: str = "fam/one", **fields: Any) -> Path:
    """A pack's metadata, complete but for what is given; returns its folder."""
    family, _, own = name.partition("/")
    content = {
        "family": family,
        "model_id": f"{family}-{own}",
        "title": "A voice",
        "languages": ["en"],
        "sample_rate": 24_000,
        "licence": "MIT",
        "memory_mb": 10,
        "source": {"package": "hibari", "distribution": "some-package"},
        **fields,
    }
    home = folder / name
    home.mkdir(parents=True)
    (home / "metadata.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return home


def hub_source(hub: FakeHub, *, sums: bool = True) -> dict[str, Any]:
    """All that the hub holds, with or without what is known of it."""
    files = [
        {"path": path, **({"sha256": hub.sha256(path), "size": len(content)} if sums else {})}
        for path, content in hub.files.items()
    ]
    return {"hub": hub.repository, "revision": COMMIT, "files": files}


def the_pack(folder: Path, *, cache: Path | None = None) -> VoicePack:
    """The only one there."""
    packs = find_packs(folder, cache=cache or folder / "cache")
    assert not packs.broken
    (pack,) = packs.good
    return pack
