"""A pack to begin with."""

from pathlib import Path
from typing import Final

from adapters.voicepacks.finding import METADATA, find_packs
from protocol.errors import SettingsInvalid

_TEMPLATE: Final = """\
# A voice pack: docs/voices.md explains every key. `antiphon voices list` shows whether this one is well.
family: {family}
model_id: {model}
title: {name}, to be described in a few words
languages: [en]
# Of the model's own sound, in Hz.
sample_rate: 24000
# What the router may ask for: cpu_ok, slow, expressive, zero_shot (clones voices), lora, or a domain.
tags: [cpu_ok]

# An SPDX name, or the one that the model's card gives it.
licence: unknown
# licence_url: https://example.org/licence
# licence_note: What there is to know of it.
# It forbids something, or nobody says what it permits: `voices pull` asks first.
non_free: true

# Of the loaded model, estimated.
memory_mb: 200

# For a model of several voices: which one speaks.
# default_voice: heart
# For the family's adapter.
# options: {{}}
# The model that this one is an adapter of.
# base: csm-1b
# What a cloning model imitates: WAV, 1 to 30 s, mono or stereo, 16 kHz or more; and what is said in it, word for word.
# reference:
#   audio: ref/seed.wav
#   text: What is said in it.

# Where the weights come from: one of three. `as` is what the family's adapter calls a file.
# 1. Files in this folder:
source:
  files:
    - path: model.onnx
      as: weights
      # sha256: (sha256sum model.onnx)
    - path: model.onnx.json
      as: config
# 2. One commit of a repository on the model hub; sizes and checksums may be left out, the hub is asked for them:
# source:
#   hub: owner/repository
#   revision: 0123456789abcdef0123456789abcdef01234567
#   files:
#     - path: model.onnx
#       as: weights
#     - path: model.onnx.json
#       as: config
# 3. A Python package:
# source:
#   package: its_import_name
#   distribution: what-to-install
#   weights: data/model.onnx
#   config: data/model.onnx.json
"""


def new_pack(folder: Path, family: str, name: str) -> Path:
    """Write metadata to fill in, and a folder for the reference recording; returns the pack's folder.

    Raises:
        SettingsInvalid: there is something already, or the names cannot be those of a pack.
    """
    home = folder / family / name
    try:
        (home / "ref").mkdir(parents=True, exist_ok=True)
        with (home / METADATA).open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(family=family, name=name, model=f"{family}-{name}"))
    except FileExistsError as error:
        raise SettingsInvalid(f"{home / METADATA} exists already: it is left as it is") from error
    except OSError as error:
        raise SettingsInvalid(f"{home} cannot be written: {error.strerror}") from error
    for broken in find_packs(folder).broken:
        if broken.name == f"{family}/{name}":
            raise SettingsInvalid(f"{home / METADATA} is written, but is no pack yet: {broken.reason}")
    return home
