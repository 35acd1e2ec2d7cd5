import errno
import hashlib
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.errors import (
    CorruptObject,
    ObjectNotFound,
    StorageGone,
    StorageMisconfigured,
    StorageUnavailable,
)
from storage.filesystem import FilesystemStore

FOLDER = "generated"
FILE = f"{1:032x}.png"
NAME = f"{FOLDER}/{FILE}"
CHECKOUT = Path(__file__).parents[3]

# Each object is the hash of the rest of it, so that a part of one can be told.
WRITER = """
import hashlib, itertools, os, sys
from pathlib import Path
from storage.filesystem import FilesystemStore

store = FilesystemStore(Path(sys.argv[1]))
for number in itertools.count():
    name = f"generated/{number % 8:032x}.png"
    body = os.urandom(100_000 + (number * 7919) % 1_500_000)
    store.put(name, hashlib.sha256(body).digest() + body, "image/png")
    print(name, flush=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(root: Path) -> FilesystemStore:
    return FilesystemStore(root)


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_kill_minus_nine_leaves_only_whole_objects(root: Path) -> None:
    acknowledged: set[str] = set()
    # Acknowledged writes before each kill, and how long after the last of them it comes.
    for writes, delay_s in zip(range(3, 19, 2), itertools.cycle((0.0, 0.001, 0.004)), strict=False):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        with writer.stdout:
            for _ in range(writes):
                acknowledged.add(writer.stdout.readline().strip())
            time.sleep(delay_s)
            writer.kill()
            acknowledged.update(writer.stdout.read().split("\n")[:-1])
        writer.wait()
        store = FilesystemStore(root)
        listed = [info.name for info in store.list("")]
        assert acknowledged <= set(listed)
        for name in listed:
            data = store.get(name).data
            assert hashlib.sha256(data[32:]).digest() == data[:32]
    assert acknowledged
    for path in root.rglob(".*.part"):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    FilesystemStore(root)
    assert set(files_below(root)) == set(listed)


def test_unfinished_files_are_removed_when_old_and_never_listed(
    store: FilesystemStore, root: Path
) -> None:
    store.put(NAME, b"x", "image/png")
    old, young = (root / FOLDER / f".{digit * 32}.part" for digit in "ab")
    foreign = root / FOLDER / ".keep.part"
    for path in (old, young, foreign):
        path.write_bytes(b"half")
    for path in (old, foreign, root / NAME):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    assert [info.name for info in store.list("")] == [NAME]
    FilesystemStore(root)
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
    assert (root / NAME).exists()


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_is_unavailable_and_leaves_no_file(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.put(NAME, b"old", "image/png")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(root))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageUnavailable, match=r"disk .* is full") as caught:
            store.put(NAME, b"new", "image/png")
    assert str(root) not in str(caught.value)
    assert files_below(root) == [NAME]
    assert store.get(NAME).data == b"old"
    store.put(NAME, b"new", "image/png")
    assert store.get(NAME).data == b"new"


def test_a_short_write_goes_on(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    store.put(NAME, b"0123456789", "image/png")
    assert store.get(NAME).data == b"0123456789"


def test_data_and_names_are_on_disk_when_put_returns(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor: int) -> None:
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        events.append("folder" if target.is_dir() else "file")
        fsync(descriptor)

    def record_replace(*args: str, src_dir_fd: int, dst_dir_fd: int) -> None:
        events.append("replace")
        replace(*args, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    store.put(NAME, b"x", "image/png")
    # The first folder is the root, which got a new folder.
    assert events == ["folder", "file", "replace", "folder"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO])
def test_a_refusing_or_failing_disk_is_unavailable(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(root))

    monkeypatch.setattr(os, "open", fail)
    for operation in (
        lambda: store.put(NAME, b"x", "image/png"),
        lambda: store.get(NAME),
        lambda: store.delete(NAME),
        lambda: list(store.list("")),
        store.check,
    ):
        with pytest.raises(StorageUnavailable, match=os.strerror(number)) as caught:
            operation()
        # What somebody must mend is told from what may pass.
        assert isinstance(caught.value, StorageGone) is (number != errno.EIO)
        assert str(root) not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_unavailable(store: FilesystemStore, root: Path) -> None:
    store.put(NAME, b"x", "image/png")
    (root / FOLDER).chmod(0o500)
    try:
        with pytest.raises(StorageUnavailable, match="refuses access"):
            store.put(NAME, b"y", "image/png")
    finally:
        (root / FOLDER).chmod(0o700)


def test_a_root_that_vanishes_is_not_a_missing_object(store: FilesystemStore, root: Path) -> None:
    store.put(NAME, b"x", "image/png")
    root.rename(root.with_name("unmounted"))
    for operation in (
        lambda: store.put(NAME, b"x", "image/png"),
        lambda: store.get(NAME),
        lambda: store.delete(NAME),
        lambda: list(store.list("")),
        lambda: list(store.list("generated/")),
        store.check,
    ):
        with pytest.raises(StorageGone, match="is gone"):
            operation()
    assert not root.exists()


def test_a_root_that_is_no_folder_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageMisconfigured) as caught:
            FilesystemStore(path)
        assert str(tmp_path) not in str(caught.value)


def test_the_root_may_be_relative_and_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FilesystemStore(Path("data"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put(NAME, b"x", "image/png")
    assert (tmp_path / "data" / NAME).read_bytes() == b"x"


def test_a_linked_file_is_not_read_and_not_written_through(
    store: FilesystemStore, root: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (root / FOLDER).mkdir()
    (root / NAME).symlink_to(secret)
    with pytest.raises(CorruptObject):
        store.get(NAME)
    assert list(store.list("")) == []
    store.put(NAME, b"image", "image/png")
    assert secret.read_bytes() == b"secret"
    assert store.get(NAME).data == b"image"
    (root / NAME).unlink()
    (root / NAME).symlink_to(secret)
    store.delete(NAME)
    assert secret.exists()
    assert not (root / NAME).is_symlink()


def test_a_linked_folder_is_not_entered(store: FilesystemStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / FILE).write_bytes(b"secret")
    (root / FOLDER).symlink_to(outside)
    for operation in (
        lambda: store.put(NAME, b"x", "image/png"),
        lambda: store.get(NAME),
        lambda: store.delete(NAME),
        lambda: list(store.list("generated/")),
    ):
        with pytest.raises(StorageMisconfigured, match="symbolic link"):
            operation()
    assert list(store.list("")) == []
    assert files_below(outside) == [FILE]
    assert (outside / FILE).read_bytes() == b"secret"


@pytest.mark.parametrize("plant", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_corrupt(store: FilesystemStore, root: Path, plant: object) -> None:
    (root / FOLDER).mkdir()
    plant(root / NAME)  # type: ignore[operator]  # either makes something at a path
    with pytest.raises(CorruptObject, match="not a regular file"):
        store.get(NAME)
    assert list(store.list("")) == []


def test_foreign_files_are_left_alone(store: FilesystemStore, root: Path) -> None:
    store.put(NAME, b"x", "image/png")
    for foreign in ("lost+found/x", "README", f"{FOLDER}/notes.txt", f"Upper/{FILE}"):
        (root / foreign).parent.mkdir(exist_ok=True)
        (root / foreign).write_text("mine")
    assert [info.name for info in store.list("")] == [NAME]


def test_nothing_leaks_descriptors(store: FilesystemStore, root: Path) -> None:
    def run_every_path() -> None:
        store.put(NAME, b"x", "image/png")
        store.get(NAME)
        list(store.list(""))
        store.check()
        store.delete(NAME)
        with pytest.raises(ObjectNotFound):
            store.get(NAME)
        (root / NAME).mkdir()
        with pytest.raises(CorruptObject):
            store.get(NAME)
        with pytest.raises(StorageUnavailable):
            store.put(NAME, b"x", "image/png")
        (root / NAME).rmdir()

    run_every_path()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run_every_path()
    assert len(os.listdir("/proc/self/fd")) == before
    assert files_below(root) == []
