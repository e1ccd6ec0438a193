"""LoRA adapters of one CSM (peft, as Unsloth writes them): loaded beside each other, switched in milliseconds."""

import json
import re
import warnings
from pathlib import Path
from typing import Any, Final

from adapters.tts.csm_files import refuse_wrong_keys
from protocol.errors import ModelUnavailable

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
_PREFIX: Final = "base_model.model."
"""What peft's wrapper, which is not needed for speaking, puts before each name."""

_FORMERLY: Final = re.compile(r"^codec_model\.(encoder|decoder)_transformer\.")
"""How transformers called the codec's layers before 5.x; adapters that were trained then still do."""


class Adapters:
    """What is injected into one model's layers. One thread at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._layers: list[Any] = []
        self._names: set[str] = set()
        self._active: str | None = None

    def load(self, name: str, folder: Path) -> None:
        """Add one; which one is active stays.

        Raises:
            ModelUnavailable: its weights are not those that its configuration promises, or not for this model.
        """
        from peft import PeftConfig, get_peft_model_state_dict, inject_adapter_in_model  # noqa: PLC0415  # see below
        from peft import set_peft_model_state_dict as fill  # noqa: PLC0415  # a base alone needs no peft
        from safetensors.torch import load_file  # noqa: PLC0415  # as above

        kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("peft_type")
        if kind != "LORA":
            raise ModelUnavailable(f"{folder.name}: {CONFIG}: peft_type is {kind!r}, LORA is wanted")
        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        config.base_model_name_or_path = None  # where it was trained; peft would go and look for it at the hub
        weights = {_now(key): tensor for key, tensor in load_file(folder / WEIGHTS).items()}
        active = self._active
        self._names.add(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there are several adapters is what is wanted
                inject_adapter_in_model(config, self._model, name)
            self._find_layers()
            wanted = set(get_peft_model_state_dict(self._model, adapter_name=name, save_embedding_layers=False))
            refuse_wrong_keys(folder.name, {"missing": wanted - set(weights), "unexpected": set(weights) - wanted})
            fill(self._model, weights, adapter_name=name)
            self._settle(name)
        except BaseException:
            self.drop(name)
            raise
        finally:
            self._switch(active)

    def drop(self, name: str) -> None:
        """Give its memory back; harmless when it is not there."""
        if name not in self._names:
            return
        self._names.discard(name)
        self._find_layers()  # an injection that failed may have changed some
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft tells which one is active now; it is set before each step
            for layer in self._layers:
                layer.delete_adapter(name)
        getattr(self._model, "peft_config", {}).pop(name, None)
        self._switch(None if self._active == name else self._active)

    def use(self, name: str | None) -> None:
        """Speak with this one from now on; None: with the base alone."""
        if name != self._active:
            self._switch(name)

    def _find_layers(self) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: PLC0415  # a base alone needs no peft

        self._layers = [module for module in self._model.modules() if isinstance(module, BaseTunerLayer)]

    def _switch(self, name: str | None) -> None:
        self._active = name
        for layer in self._layers:
            if name is not None:
                layer.set_adapter(name, inference_mode=True)
            layer._disable_adapters = name is None  # noqa: SLF001  # `enable_adapters` would make weights trainable

    def _settle(self, name: str) -> None:
        """To where, and as exact as, the layers are that it adapts."""
        for layer in self._layers:
            weight = layer.get_base_layer().weight
            for kind in layer.adapter_layer_names:
                parts = getattr(layer, kind)
                if name in parts and hasattr(parts[name], "to"):
                    parts[name].to(device=weight.device, dtype=weight.dtype)


def _now(key: str) -> str:
    return _FORMERLY.sub(r"codec_model.\1.\1_transformer.", key.removeprefix(_PREFIX))
