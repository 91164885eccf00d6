"""A cluster of two nodes on loopback: a worker is killed in the middle of a run, then a node."""

import os
import signal
import threading

import pytest

from faceshape.fleet import on_ray, pending, plan
from faceshape.fleet.chunks import RunError

ray = pytest.importorskip("ray", reason="the extra ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

PATIENCE = 300  # seconds, on a busy machine
_ATTEMPTS = 5  # Ray gives parts of a node 15 s to start, whatever else the machine does


@pytest.fixture(scope="module")
def cluster(trouble, tmp_path_factory):
    """The cluster, and its node that may be killed."""
    # Paths of Unix sockets are short.
    folder = tmp_path_factory.mktemp("r")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it keeps a token in the home folder
        # Ray takes the address of a network card instead of loopback's, which may be closed.
        patch.setattr("ray._private.services.get_node_ip_address", lambda *_: "127.0.0.1")
        found, other = _started()
        ray.init(address=found.address, log_to_driver=False, _node_ip_address="127.0.0.1")
        yield found, other
        ray.shutdown()
        found.shutdown()


def _started():
    from ray.cluster_utils import Cluster

    options = {
        "num_cpus": 1,
        "node_ip_address": "127.0.0.1",
        "object_store_memory": 2**27,
        "include_log_monitor": False,
    }
    for attempt in range(_ATTEMPTS):
        found = Cluster()
        try:
            found.add_node(wait=False, include_dashboard=False, no_monitor=True, **options)
            other = found.add_node(wait=False, **options)
            found.wait_for_nodes(timeout=PATIENCE)
        except Exception:
            if found.head_node is not None:
                found.shutdown()
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            return found, other


def test_a_worker_and_a_node_are_killed(cluster, held, rows, tmp_path):
    found, other = cluster
    out = str(tmp_path / "out")
    plan(str(held.folder), out, 1)
    reports = []
    driver = threading.Thread(target=lambda: reports.extend(on_ray(out, pending(out))))
    driver.start()
    (_, worker), _ = held.wait(2)  # one on each node
    os.kill(worker, signal.SIGKILL)
    held.wait(3)  # the chunk runs again
    found.remove_node(other, allow_graceful=False)
    held.let_go()
    driver.join(PATIENCE)
    assert sorted(report.index for report in reports) == [0, 1, 2, 3, 4, 5]
    assert [len(row["faces"]) for row in rows(out).values()] == [1] * 6


def test_errors_are_the_chunks_own(cluster, held, tmp_path):
    out = str(tmp_path / "out")
    plan(str(held.folder), out, 6)
    with pytest.raises(RunError, match="chunks 0 to 0"):
        list(on_ray(out, [1]))
