"""What a model hub says of a file before it is fetched."""

import re
from dataclasses import dataclass, field
from typing import Final

from protocol.errors import DownloadFailed

_LFS: Final = re.compile(r"[0-9a-f]{64}")
_BLOB: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a commit.

    Attributes:
        url: where to get it; leads on to where the bytes are.
        etag: the SHA-256 of a large file, git's name of a small one.
        size: in bytes.
        headers: to be sent to the hub itself (a token, if the user has one), not to where it leads on to.
    """

    url: str
    etag: str
    size: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def sha256(self) -> str | None:
        """Of a large file; the hub keeps none of small ones."""
        return self.etag if _LFS.fullmatch(self.etag) else None

    @property
    def git_blob(self) -> str | None:
        """Of a small file."""
        return self.etag if _BLOB.fullmatch(self.etag) else None


class Hub:
    """Asked through huggingface_hub, which knows the protocol, mirrors (`HF_ENDPOINT`) and tokens (`HF_TOKEN`).

    Its own download does not go on where one was broken off (2.x deletes what it had), so the bytes are fetched by
    `adapters.voicepacks.download`.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        """The endpoint is that of `HF_ENDPOINT`, or else the public one, if None."""
        self._endpoint = endpoint

    def look_up(self, repository: str, revision: str, path: str) -> RemoteFile:
        """One request, which waits for the answer.

        Raises:
            DownloadFailed: there is no such file, one is not let in, or nobody answers.
        """
        from huggingface_hub import constants, errors, get_hf_file_metadata, hf_hub_url  # noqa: PLC0415  # half a second
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # noqa: PLC0415  # documented

        endpoint = self._endpoint or constants.ENDPOINT
        url = hf_hub_url(repository, path, revision=revision, endpoint=endpoint)
        try:
            found = get_hf_file_metadata(url)
        except errors.GatedRepoError as error:
            advice = f"agree to its terms at {endpoint}/{repository}, then give HF_TOKEN or run `hf auth login`"
            raise DownloadFailed(f"{repository}: its owner must let you in: {advice}") from error
        except errors.RepositoryNotFoundError as error:
            raise DownloadFailed(f"{repository}: {endpoint} has no such repository, or hides it from you") from error
        except errors.RevisionNotFoundError as error:
            raise DownloadFailed(f"{repository}: there is no commit {revision}") from error
        except errors.EntryNotFoundError as error:
            raise DownloadFailed(f"{repository}: there is no {path} in commit {revision[:12]}") from error
        except Exception as error:  # of whichever HTTP library huggingface_hub uses: they changed twice
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise DownloadFailed(f"{repository}: {endpoint} cannot be asked: {reason}") from error
        if found.commit_hash != revision or not found.etag or found.size is None:
            raise DownloadFailed(f"{repository}: {endpoint} does not answer as a model hub does")
        return RemoteFile(url, found.etag, found.size, build_hf_headers())
