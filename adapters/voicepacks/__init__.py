"""Voice packs: `<family>/<name>/metadata.yaml` says what a model is and where its weights come from."""

from adapters.voicepacks.finding import METADATA, BrokenPack, Packs, find_packs
from adapters.voicepacks.metadata import SeedAudio, VoicePack
from adapters.voicepacks.places import default_cache, default_user_folder
from adapters.voicepacks.sources import FilesSource, HubSource, PackageSource, SourceFile

__all__ = [
    "METADATA",
    "BrokenPack",
    "FilesSource",
    "HubSource",
    "PackageSource",
    "Packs",
    "SeedAudio",
    "SourceFile",
    "VoicePack",
    "default_cache",
    "default_user_folder",
    "find_packs",
]
