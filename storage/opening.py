"""Opens the store that the settings describe."""

import os
from pathlib import Path

from storage.settings import FilesystemSettings, StoreSettings
from storage.store import SwappingStore


def open_store(settings: StoreSettings) -> SwappingStore:
    """Open the store that the settings describe, with credentials from the environment.

    Args:
        settings: Which store, and where.

    Returns:
        A store. Whether it can serve is not checked yet; see `ImageStore.check`.

    Raises:
        StorageMisconfigured: Credentials are missing, or a file or folder is unusable.
        StorageUnavailable: The disk of a filesystem store is full or fails.
    """
    # Imported here: neither store needs the other's libraries.
    if isinstance(settings, FilesystemSettings):
        from storage.filesystem import FilesystemStore

        return FilesystemStore(Path(settings.path))
    from storage.credentials import provider_for
    from storage.minio_store import MinioStore

    return MinioStore(settings, provider_for(settings, os.environ))
