"""A filesystem store in a Ray cluster of several nodes: refused, unless the folder is shared."""

from __future__ import annotations

import pytest
import ray

from storage.deployment import Storage
from storage.errors import StorageMisconfigured
from storage.settings import FilesystemSettings


class Deaf:
    """An observer that hears nothing."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def opened(folder, **settings: object) -> None:
    Storage(FilesystemSettings(path=str(folder), **settings), None, observer=Deaf()).close()


@pytest.fixture
def nodes(monkeypatch):
    """The nodes that Ray tells of, which a test may change."""
    told = [{"Alive": True}]
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", lambda: told)
    return told


def test_without_ray_there_is_one_node(tmp_path):
    assert not ray.is_initialized()
    opened(tmp_path)


def test_one_node_may_keep_files(tmp_path, nodes):
    nodes.append({"Alive": False})  # one that has left
    opened(tmp_path)


def test_several_nodes_may_not(tmp_path, nodes):
    nodes += [{"Alive": True}, {"Alive": True}]
    with pytest.raises(StorageMisconfigured, match=r"has 3 nodes.*store\.shared"):
        opened(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_several_nodes_may_share_a_folder(tmp_path, nodes):
    nodes.append({"Alive": True})
    opened(tmp_path, shared=True)
