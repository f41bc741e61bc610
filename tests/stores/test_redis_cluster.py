"""Real clusters: one node with all slots, three nodes, and slots that move."""

from __future__ import annotations

import pytest
from redis import exceptions as redis_errors

from auto_interventions.errors import BadInput
from auto_interventions.stores import open_store
from tests.redis_server import RedisServer, cluster_of, servers_found
from tests.stores.places import ALONE


@pytest.mark.parametrize("version", ALONE)
def test_a_cluster_of_one_node_that_holds_all_slots(version: str) -> None:
    [server] = cluster_of(servers_found()[version], 1)
    try:
        with server.client() as client, pytest.raises(redis_errors.ResponseError, match="slot"):
            client.mget(["a", "b"])  # the server does insist
        store = open_store(server.url)
        items = {f"vector/v1/{row}": f"{row}".encode() for row in range(5_000)}
        store.put_many(items)
        assert store.get_many(list(items)) == list(items.values())
        assert store.delete_many(list(items)) == 5_000
        for location in (f"unix://{server.socket}?db=0", f"redis://127.0.0.1:{server.port}/0"):
            if location.startswith("unix"):
                with pytest.raises(BadInput, match="is a node of a cluster"):
                    open_store(location)
        with pytest.raises(BadInput, match="no database 1; write a smaller number behind the host, 0 for a cluster"):
            open_store(f"redis://127.0.0.1:{server.port}/1")
    finally:
        server.stop()


@pytest.mark.skipif(not ALONE, reason="no redis-server here")
def test_slots_that_move_between_the_nodes_of_a_cluster() -> None:
    servers = cluster_of(servers_found()[ALONE[0]], 3)
    try:
        store = open_store(servers[0].url, patience=20)
        items = {f"vector/v1/{row}": f"{row}".encode() for row in range(3_000)}
        store.put_many(items)
        counts = []
        for server in servers:
            with server.client() as client:
                counts.append(client.dbsize())
        assert min(counts) > 500  # spread over all of them
        move_slots(servers[0], servers[1])
        assert store.get_many(list(items)) == list(items.values())
        store.put_many(items)
        assert sorted(entry.key for entry in store.entries()) == sorted(items)
    finally:
        for server in servers:
            server.stop()


def move_slots(source: RedisServer, target: RedisServer) -> None:
    """Every slot of `source` that holds keys goes to `target`, as `redis-cli --cluster reshard` does it."""
    with source.client() as old, target.client() as new:
        ids = {one: one.execute_command("CLUSTER", "MYID") for one in (old, new)}
        for slot in range(16_384 // 3):
            names = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
            if not names:
                continue
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[old])
            old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[new])
            old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *names)
            for one in (old, new):
                one.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[new])
