"""How CSM's prompts are made: its vocabulary, in two sizes, and the template of a conversation."""

from typing import Any, Final

from tests.checkpoints.sizes import Size

CHAT: Final = (
    "{%- for m in messages %}{{- bos_token + '[' + m['role'] + ']' }}{%- for c in m['content'] %}"
    "{%- if c['type'] == 'text' %}{{- c['text'] + '<|end_of_text|>' }}"
    "{%- elif c['type'] == 'audio' %}{{- '<|AUDIO|><|audio_eos|>' }}{%- endif %}{%- endfor %}{%- endfor %}"
)
"""As in the real `chat_template.jinja`: whose turn, what is said, and how it sounded."""
_SPECIAL: Final = ("<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>")
_FIRST_COMMAND: Final = 128_000
"""Of the real vocabulary: where `_SPECIAL` begin."""


def _tiny_tokens() -> Any:
    """Letters and a few syllables."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: PLC0415  # where the extra is installed

    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=list(_SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokens.train_from_iterator(["[0]Hello from a tiny model. This is a test"], trainer)
    return tokens


def _real_tokens() -> Any:
    """As many as the real model's, commands where it has them; but letters are all that a text is made of."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers  # noqa: PLC0415  # as above

    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {f"<unused {index}>": index for index in range(len(vocabulary), _FIRST_COMMAND)}
    tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.add_special_tokens([AddedToken(name, special=True) for name in _SPECIAL])
    return tokens


def make_processor(size: Size) -> Any:
    """The library's, with a vocabulary of that size."""
    from tokenizers import decoders, processors  # noqa: PLC0415  # only where the extra is installed
    from transformers import (  # noqa: PLC0415  # as above
        CsmProcessor,
        EncodecFeatureExtractor,
        PreTrainedTokenizerFast,
    )

    tokens = _tiny_tokens() if size == "tiny" else _real_tokens()
    begin, end, audio, audio_end = _SPECIAL
    tokens.decoder = decoders.ByteLevel()
    tokens.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(name, tokens.token_to_id(name)) for name in (begin, end)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        bos_token=begin,
        eos_token=end,
        pad_token=end,
        audio_token=audio,
        audio_eos_token=audio_end,
    )
    sound = EncodecFeatureExtractor(feature_size=1, sampling_rate=24_000)
    return CsmProcessor(feature_extractor=sound, tokenizer=tokenizer, chat_template=CHAT)
