"""Two Ray nodes on this machine. ``make test-scale`` runs what needs them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch

WHY = None
if "VAR_SPACES_TEST_SCALE" not in os.environ:  # clusters beside other tests take every core
    WHY = "clusters are tested by: make test-scale"
elif find_spec("ray") is None:
    WHY = "ray is not installed: make test-scale"


class Two:
    """A cluster of two nodes with two CPU slots each: an actor and Ray's own tasks need one each.

    Attributes:
        other: the node that does not hold the cluster together; None while it is dead.
    """

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        few = {"num_cpus": 2, "object_store_memory": 100 << 20, "include_dashboard": False}
        self.cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=few))
        self.few, self.other = few, None
        self.address = self.cluster.address
        self.whole()

    def whole(self) -> None:
        """Two nodes, whatever happened to the second."""
        if self.other is None:
            self.other = patiently(lambda: self.cluster.add_node(**self.few))
            self.cluster.wait_for_nodes()

    def kill_other(self) -> None:
        """The second node dies without a word."""
        if self.other is not None:
            self.cluster.remove_node(self.other, allow_graceful=False)
            self.other = None


def patiently(start: Callable[[], Any]) -> Any:
    """Start a node; one that a busy machine does not bring up in 30 s has two more chances."""
    for chance in (2, 1, 0):
        try:
            return start()
        except Exception as error:
            if not chance or "timed out during startup" not in str(error):
                raise
    raise AssertionError


@pytest.fixture(scope="session")
def nodes(tiny_models) -> Iterator[Two]:
    if WHY:
        pytest.skip(WHY)
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", str(tiny_models))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_worker_niceness", "0")  # else a busy machine forgets them
        patch.setenv("RAY_raylet_start_wait_time_s", "180")
        # A node that a busy machine lets answer late is not dead: who takes it for dead ends its
        # runs. One that was killed refuses the connection, and is missed as soon as ever.
        patch.setenv("RAY_health_check_timeout_ms", "120000")
        patch.setenv("RAY_worker_register_timeout_seconds", "300")
        made = Two()
        ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        # Sums of several threads round otherwise: one process is one with the threads of an actor.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield made
        torch.set_num_threads(threads)
        ray.shutdown()
        made.cluster.shutdown()


@pytest.fixture
def cluster(nodes: Two) -> Any:
    """The cluster, both nodes alive."""
    nodes.whole()
    return nodes
