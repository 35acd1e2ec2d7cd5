"""How the tests are told apart, put in order and spread over workers.

What needs Ray is marked `ray`, what needs an S3 server `s3`, and what takes seconds `slow`: the
rest is `make test-quick`. With `pytest -n 2` (pytest-xdist) one worker runs all tests that need
Ray, one after the other, because two Ray clusters on two cores miss their own deadlines. The other
runs the rest, a file at a time, and who is done first helps with what is left.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.running import Running

if TYPE_CHECKING:
    from tests.serve.conftest import Cluster
    from tests.serve.launcher import Launched, Wheel

NEEDS = {
    "tests/serve/": "ray",
    "tests/browser/": "ray",
    "tests/faults/test_crashes.py": "ray",
    "tests/serve/test_launch.py": "ray",
    "tests/faults/": "ray",
    "tests/k8s/test_cluster.py": "ray",
    "tests/k8s/test_placement.py": "ray",
    "tests/contract_store/": "s3",
    "tests/k8s/test_provision.py": "s3",
    "tests/contract/": "slow",
    "tests/k8s/test_prefetch.py": "slow",
    "tests/k8s/test_sizing.py": "slow",
    "tests/unit/diffusion/test_compiled.py": "slow",
    "tests/unit/diffusion/test_demo.py": "slow",
    "tests/unit/diffusion/test_engine_benchmarks.py": "slow",
    "tests/unit/diffusion/test_equivalence": "slow",
    "tests/unit/diffusion/test_loading_families.py": "slow",
    "tests/unit/diffusion/test_loras.py": "slow",
    "tests/unit/diffusion/test_model.py": "slow",
    "tests/unit/diffusion/test_request_loras.py": "slow",
    "tests/unit/diffusion/test_openvino": "slow",
    "tests/unit/ingress/test_fuzz.py": "slow",
    "tests/unit/studio/test_segmentation.py": "slow",
    "tests/unit/studio/test_true_mattes.py": "slow",
    "tests/unit/test_benchmarks.py": "slow",
    "tests/unit/uploads/test_upload_costs.py": "slow",
    "tests/unit/uploads/test_upload_fuzz.py": "slow",
}
"""Marks by the beginning of a test's id, in the order in which they run, before all others.

Who uses the same cluster stands together, and who ends it last.
"""

ENVIRONMENT = {
    # Ray would start replicas at nice 15, where everything else on the machine goes first.
    "RAY_worker_niceness": "0",
    # A busy machine is no reason to take a replica for lost.
    "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "2",
    "RAY_SERVE_MAX_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "20",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Of the libraries that tests run in their own process: side by side a second thread only waits.
    "OMP_NUM_THREADS": "1",
}

for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)


RUNNING = pytest.StashKey[Running]()


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says how busy the machine is.
    hypothesis.settings.register_profile("tests", deadline=None)
    hypothesis.settings.load_profile("tests")
    config.stash[RUNNING] = Running()


@pytest.fixture
def running(pytestconfig: pytest.Config) -> Running:
    """What starts clusters."""
    return pytestconfig.stash[RUNNING]


@pytest.fixture
def cluster(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The service that the suites for HTTP and for the browser share."""
    from tests.serve.conftest import started

    return running.get("cluster", lambda: started(tmp_path_factory.mktemp("cluster")))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Backdrop installed from its wheel."""
    from tests.serve.launcher import install_wheel

    return install_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def launched(running: Running, wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """The service as people install and start it."""
    from tests.serve.launcher import started

    folder = tmp_path_factory.mktemp("a folder with spaces")
    return running.get("launched", lambda: started(wheel, folder))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    running = item.config.stash[RUNNING]
    if nextitem is None or need(nextitem.nodeid) != "ray":
        running.close()
    else:
        running.close_unless_used(nextitem.fixturenames)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[RUNNING].close()


def need(nodeid: str) -> str | None:
    """The mark of what a test needs; None for nothing but this process."""
    return next((mark for prefix, mark in NEEDS.items() if nodeid.startswith(prefix)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {prefix: number for number, prefix in enumerate(NEEDS)}

    def place(item: pytest.Item) -> int:
        found = [prefix for prefix in order if item.nodeid.startswith(prefix)]
        return order[max(found, key=len)] if found else len(order)

    for item in items:
        if not item.nodeid.endswith(item.name):
            # Schemathesis gives the tests of all routes one id.
            item._id = item.id.parse(f"{item.nodeid.rpartition('::')[0]}::{item.name}")
        mark = need(item.nodeid)
        if mark is not None:
            item.add_marker(mark)
    items.sort(key=place)
    if len({item.nodeid for item in items}) < len(items):
        raise pytest.UsageError("tests with one id: pytest-xdist would run only one of them")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        """Scopes are all tests that need Ray, and every other file."""

        def _split_scope(self, nodeid: str) -> str:
            return "ray" if need(nodeid) == "ray" else nodeid.split("::", 1)[0]

    # As they were put in order here, not by their number.
    config.option.loadscopereorder = False
    return Scheduling(config, log)
