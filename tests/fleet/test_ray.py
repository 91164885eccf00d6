"""A cluster of two nodes on loopback, of which one dies in the middle of a run."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from faceshape.fleet import on_ray, pending, plan

PICTURES, CHUNK = 60, 6


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    ray = pytest.importorskip("ray", reason="the extra ray")
    from ray.cluster_utils import Cluster

    # Paths of Unix sockets are short.
    folder = tmp_path_factory.mktemp("r")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Ray takes the address of a network card instead of loopback's, which may be closed.
        patch.setattr("ray._private.services.get_node_ip_address", lambda *_: "127.0.0.1")
        options = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 2**27}
        found = Cluster(initialize_head=True, head_node_args=options)
        other = found.add_node(**options)
        ray.init(address=found.address, log_to_driver=False, _node_ip_address="127.0.0.1")
        yield found, other
        ray.shutdown()
        found.shutdown()


@pytest.fixture(scope="module")
def many(portrait, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    for index in range(PICTURES):
        Image.fromarray(np.roll(portrait, index % 9, axis=1)).save(folder / f"{index:03}.jpg")
    return folder


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_node_that_dies_costs_nothing(cluster, many, tmp_path):
    found, other = cluster
    out = str(tmp_path / "out")
    plan(str(many), out, chunk=CHUNK)
    reports = on_ray(out, pending(out))
    seen = [next(reports).index]
    found.remove_node(other, allow_graceful=False)
    seen += [report.index for report in reports]
    assert sorted(seen) == list(range(PICTURES // CHUNK))
    table = pq.read_table(f"{out}/answers")
    paths = table.column("path").to_pylist()
    assert len(paths) == len(set(paths)) == PICTURES
    assert all(len(faces) == 1 for faces in table.column("faces"))
