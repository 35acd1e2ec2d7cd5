"""Names and downloads of weights on the Hugging Face Hub, pinned to a revision.

huggingface_hub reads HF_TOKEN, HF_HUB_OFFLINE, HF_HOME and HF_ENDPOINT itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class HubError(Exception):
    """Weights on the Hub cannot be had; the message is one clause that says why."""


def is_hub_id(name: str) -> bool:
    """Whether a name has the form of a repository on the Hub, owner/name."""
    return _ID.fullmatch(name) is not None


def check_revision(name: str, revision: str | None) -> None:
    """Refuse a repository of the Hub without a revision: its weights could change.

    Raises:
        HubError: There is none.
    """
    if revision is None:
        raise HubError(f"{name} on the Hub needs a revision in the configuration, best a commit")


def download(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download files of a repository, or find them in the local cache.

    Args:
        name: The repository, owner/name.
        revision: Commit, tag or branch.
        patterns: Glob patterns of the files; one that matches nothing is no error.

    Returns:
        The folder with the files; the client names it after the commit.

    Raises:
        HubError: The Hub does not give them.
    """
    # Imported here, so that local weights need no client of the Hub.
    from huggingface_hub import errors, snapshot_download

    wanted = f"{name} at revision {revision}"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except errors.GatedRepoError:
        problem = f"{name} on the Hub is gated: set HF_TOKEN to a token that was granted access"
    except errors.RepositoryNotFoundError:
        problem = f"the Hub has no {name}, or it is private and HF_TOKEN does not open it"
    except errors.RevisionNotFoundError:
        problem = f"{name} on the Hub has no revision {revision}"
    except errors.LocalEntryNotFoundError:
        problem = f"{wanted} is not in the local cache, and the Hub cannot be reached"
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        problem = f"{wanted} cannot be downloaded: the Hub answers {status}"
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = f"{wanted} cannot be downloaded: {reason}"
    raise HubError(problem)
