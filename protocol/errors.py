"""What can go wrong, as a tree.

AntiphonError
├── MalformedMessage       bytes that are no message or frame of ours
├── Refused                a request that is understood and not granted (has a code for programs)
├── SynthesisFailed        a TTS model could not speak a phrase
├── RecognitionFailed      an ASR model could not transcribe a range
├── ModelUnavailable       a model's files or packages are missing or broken
├── DownloadFailed         a voice pack's weights could not be fetched, or are not what they should be
├── ReplyUnavailable       the language model failed or timed out
├── BusUnavailable         NATS cannot be reached, or refused us
│   └── NobodyListens      it can be reached, and nobody is there to answer
├── GatewayUnavailable     a client cannot reach its gateway, or lost it for good
├── SoundUnavailable       a sound file or device cannot be used
└── SettingsInvalid        a configuration key or value is wrong
"""

from typing import Literal


class AntiphonError(Exception):
    """The root of all errors that this project raises on purpose."""


class MalformedMessage(AntiphonError):
    """Bytes that are no message or frame of ours. The sender is never trusted."""


class Refused(AntiphonError):
    """A request that was understood and not granted.

    Attributes:
        code: for programs, e.g. `too-many-sessions`.
        reason: for people: what happened and what to do next.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class SynthesisFailed(AntiphonError):
    """A TTS model could not speak a phrase."""


class RecognitionFailed(AntiphonError):
    """An ASR model could not transcribe a range of samples."""


LoadFault = Literal["missing", "checksum", "corrupt", "memory", "other"]
"""A package or file is not there, is not the one that was promised, is no model, is too large for this machine."""


class ModelUnavailable(AntiphonError):
    """A model's files or packages are missing or broken; the message says what to install.

    Attributes:
        fault: for programs and metrics.
    """

    def __init__(self, reason: str = "", *, fault: LoadFault = "other") -> None:
        super().__init__(reason)
        self.fault: LoadFault = fault


class DownloadFailed(AntiphonError):
    """A voice pack's weights could not be fetched, or are not what they should be; the message says what to do."""


class ReplyUnavailable(AntiphonError):
    """The language model failed, refused or timed out."""


class BusUnavailable(AntiphonError):
    """NATS cannot be reached at the named URL, or refused our credentials."""


class NobodyListens(BusUnavailable):
    """The server says at once that there is nobody to answer."""


class GatewayUnavailable(AntiphonError):
    """No gateway answers at the named URL, or the connection is lost and does not come back."""


class SoundUnavailable(AntiphonError):
    """A sound file or a microphone or loudspeaker cannot be used; the message says why and what to do."""


class SettingsInvalid(AntiphonError):
    """A configuration key or value is wrong; the message names the key and the file."""
