"""Mimi, frame by frame: what a codec that was made for whole recordings gives out, without decoding anything twice."""

from typing import Any, Final

import torch

_CONTEXT: Final = 8
"""Latents (of 40 ms) to the left that the convolutional decoder looks back upon."""


class MimiStream:
    """Decodes one phrase; together its pieces are what decoding the whole phrase at once would give (to 1e-4).

    Decoding each frame by itself would not do: all three stages look back. The upsampler sees one latent more, the
    transformer keeps its keys and values, and the convolutions see the last latents again.
    """

    def __init__(self, codec: Any) -> None:
        from transformers import DynamicCache  # noqa: PLC0415  # takes a second, and only speaking needs it

        self._codec = codec
        self._kept = DynamicCache(config=codec.decoder.decoder_transformer.config)
        self._latent: torch.Tensor | None = None
        self._hidden: torch.Tensor | None = None
        self._samples = codec.config.frame_size
        upsample = codec.decoder.upsample
        self._per_frame = upsample.conv.stride[0] if upsample is not None else 1

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]  # typed only where torch is installed
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """The sound, `[frames * 1920]`, of the next frames, `[codebooks, frames]`."""
        decoder, count = self._codec.decoder, codes.shape[-1] * self._per_frame
        latents = self._codec.quantizer.decode(codes[None])
        seen = latents if self._latent is None else torch.cat([self._latent, latents], -1)
        self._latent = latents[..., -1:]
        if decoder.upsample is not None:
            seen = decoder.upsample(seen)
        fresh = seen[..., -count:].transpose(1, 2)
        hidden = decoder.decoder_transformer(fresh, past_key_values=self._kept, use_cache=True).last_hidden_state
        context = hidden if self._hidden is None else torch.cat([self._hidden, hidden], 1)
        self._hidden = context[:, -_CONTEXT:]
        sound: torch.Tensor = decoder.decoder_seanet(context.transpose(1, 2))
        return sound[0, 0, -codes.shape[-1] * self._samples :]
