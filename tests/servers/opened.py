"""A store in a cluster."""

from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import ServerStore, open_server
from tests.servers.cluster import NAME, Cluster


def settings_of(cluster: Cluster, *, quorum: int = 0) -> ServerSettings:
    return ServerSettings(
        endpoints=parse_endpoints(cluster.hosts, 9000), cluster=NAME, insert_quorum=quorum
    )


def opened(cluster: Cluster, *, quorum: int = 0) -> ServerStore:
    store = open_server(settings_of(cluster, quorum=quorum))
    store.migrate()
    return store
