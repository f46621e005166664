"""A Redis cluster of three nodes, and of more where replicas are wanted."""

from pathlib import Path

from redis.crc import key_slot

from tests.rig.certificates import Authority
from tests.rig.ports import LOCALHOST, free_tcp_port
from tests.rig.redis import RedisServer
from tests.rig.waiting import wait_for

_SLOTS = 16384
_PRIMARIES = 3
_NODE_TIMEOUT_MS = 500


class RedisCluster:
    """Starts at once, with all slots served."""

    def __init__(
        self, folder: Path, *options: str, replicas: int = 0, authority: Authority | None = None
    ) -> None:
        """`replicas`: 0, or 1 for one replica of each node. With `authority`, nodes speak TLS alone, to each
        other too."""
        folder.mkdir(exist_ok=True)
        self.nodes = [
            _node(folder / str(number), *options, authority=authority)
            for number in range(_PRIMARIES * (1 + replicas))
        ]
        first, *others = self.nodes
        for number, node in enumerate(self.primaries):
            low, high = (_SLOTS * part // _PRIMARIES for part in (number, number + 1))
            with node.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", low, high - 1)
                # Of two nodes with the same epoch, none would be believed.
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        with first.client() as client:
            for node in others:
                client.execute_command("CLUSTER MEET", LOCALHOST, node.port, node.bus_port)
        wait_for("the nodes to know each other", lambda: all(self._known(node) for node in self.nodes))
        for node, replica in zip(self.primaries, self.nodes[_PRIMARIES:], strict=False):
            with node.client() as client, replica.client() as its:
                its.execute_command("CLUSTER REPLICATE", client.execute_command("CLUSTER MYID"))
        wait_for("the cluster to be up", lambda: all(self._up(node) for node in self.nodes), seconds=20)
        scheme = "rediss+cluster" if authority else "redis+cluster"
        self.url = f"{scheme}://" + ",".join(f"{LOCALHOST}:{node.port}" for node in self.primaries)

    @property
    def primaries(self) -> "list[ClusterNode]":
        return self.nodes[:_PRIMARIES]

    def home_of(self, key: str) -> "ClusterNode":
        """The first primary of the slot that the key is in."""
        return self.primaries[(key_slot(key.encode()) * _PRIMARIES) // _SLOTS]

    def replica_of(self, node: "ClusterNode") -> "ClusterNode":
        return self.nodes[_PRIMARIES + self.primaries.index(node)]

    def stop(self) -> None:
        """Kill everything."""
        for node in self.nodes:
            node.stop()

    def _known(self, node: "ClusterNode") -> bool:
        with node.client() as client:
            told = client.execute_command("CLUSTER INFO")
        return int(told["cluster_known_nodes"]) == len(self.nodes)

    def _up(self, node: "ClusterNode") -> bool:
        with node.client() as client:
            told = client.execute_command("CLUSTER INFO")
            shown = str(client.execute_command("CLUSTER NODES"))
            link = client.info("replication")
        return (
            told["cluster_state"] == "ok"
            and shown.count("slave") == len(self.nodes) - _PRIMARIES
            and link.get("master_link_status", "up") == "up"
        )


class ClusterNode(RedisServer):
    """A node: a redis-server with a port for the other nodes."""

    def __init__(
        self, folder: Path, *options: str, port: int, bus_port: int, authority: Authority | None = None
    ) -> None:
        self.bus_port = bus_port
        super().__init__(
            folder,
            *("--cluster-enabled", "yes", "--cluster-port", str(bus_port)),
            *("--cluster-node-timeout", str(_NODE_TIMEOUT_MS), "--repl-diskless-sync-delay", "0"),
            *(("--tls-cluster", "yes") if authority else ()),
            *options,
            port=port,
            authority=authority,
        )


def _node(folder: Path, *options: str, authority: Authority | None) -> ClusterNode:
    ports = {"port": free_tcp_port(), "bus_port": free_tcp_port()}
    return ClusterNode(folder, *options, **ports, authority=authority)
