"""Opens the store that the settings describe."""

import os
from pathlib import Path

from storage.settings import FilesystemSettings, StoreSettings, read_credentials
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
    from storage.minio_store import MinioStore

    return MinioStore(settings, read_credentials(os.environ))
