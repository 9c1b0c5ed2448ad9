"""gRPC method paths, in place of generated stubs.

Generated stubs refuse to run on a grpcio older than the one that made them; a path and a
pair of (de)serialisers have no such tie.
"""

from typing import Final

INGEST_SERVICE: Final = "stepwell.v1.Ingest"
STREAM: Final = f"/{INGEST_SERVICE}/Stream"  # stream ClientMessage -> stream ServerMessage
RELAY: Final = f"/{INGEST_SERVICE}/Relay"  # stream RelayRequest -> stream RelayReply

BLOBS_SERVICE: Final = "stepwell.v1.Blobs"
OFFER: Final = f"/{BLOBS_SERVICE}/Offer"  # BlobOffer -> BlobReplies
PUT: Final = f"/{BLOBS_SERVICE}/Put"  # stream BlobChunk -> BlobReply
ARTIFACTS: Final = f"/{BLOBS_SERVICE}/Artifacts"  # ArtifactQuestion -> ArtifactStates

CONTROL_SERVICE: Final = "stepwell.v1.Control"
STATUS: Final = f"/{CONTROL_SERVICE}/Status"  # StatusRequest -> StatusReply
FLUSH: Final = f"/{CONTROL_SERVICE}/Flush"  # FlushRequest -> FlushReply
HOLD: Final = f"/{CONTROL_SERVICE}/Hold"  # HoldRequest -> stream HoldReply, until the call ends
SWEEP_REMOVED: Final = (
    f"/{CONTROL_SERVICE}/SweepRemoved"  # SweepRemovedRequest -> SweepRemovedReply
)
HOLD_RUNS: Final = (
    f"/{CONTROL_SERVICE}/HoldRuns"  # HoldRunsRequest -> stream HoldRunsReply, until the call ends
)
HEALTH: Final = f"/{CONTROL_SERVICE}/Health"  # HealthRequest -> HealthReply
