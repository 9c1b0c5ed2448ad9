"""The state machine of a connection, without its connection: hellos, frames, refusals."""

from stepwell_daemon.receiver import parse_message
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.session import Session, open_session
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.ingest_pb2 import MALFORMED, Frame
from tests.fuzz.inputs import entries
from tests.fuzz.invariants import require
from tests.fuzz.ledger import LedgerSpool
from tests.fuzz.targets import frames
from tests.fuzz.targets.target import Target


class Sessions(Target):
    allowed = (StreamRefusedError,)

    def seeds(self) -> list[bytes]:
        return frames.seeds()

    def feed(self, data: bytes) -> int:
        spool = LedgerSpool()
        session: Session | None = None
        sent: list[tuple[WriterState, Frame]] = []
        count = 0
        for op, payload in entries(data):
            op %= 8
            if op == frames.COMMIT:
                spool.commit()
                continue
            if session is None and op not in (frames.HELLO, frames.RAW):
                session = _greeted(spool)
            count += 1
            state = session.state if session is not None else None
            before = state.accepted if state is not None else 0
            message = frames.message_of(op, payload, state)
            try:
                session = self._take(message, session, spool, sent)
            except self.allowed as refused:
                require(bool(refused.refusal.detail), "a refusal without a reason")
                if state is not None:
                    require(state.accepted == before, "a refused frame moved the mark")
                session = None
            if state is not None:
                require(state.accepted >= before, "the mark went back")
        count += self._send_again(spool, sent)
        spool.check()
        return count

    def _send_again(self, spool: LedgerSpool, sent: list[tuple[WriterState, Frame]]) -> int:
        """Send every frame that was taken once more: nothing of it may be new."""
        count = spool.append_count
        for state, frame in sent:
            taken = Session(state).take(frame)
            require(not taken.records, "a frame was taken twice")
            require(taken.duplicate_bytes == len(frame.records), "known bytes are not counted")
        require(spool.append_count == count, "a frame was taken twice")
        return len(sent)

    def _take(
        self,
        data: bytes,
        session: Session | None,
        spool: LedgerSpool,
        sent: list[tuple[WriterState, Frame]],
    ) -> Session:
        """Do with one message what the receiver does."""
        message = parse_message(data)
        if message.WhichOneof("body") == "hello":
            return open_session(message.hello, spool.registry, writers_max=8)
        if session is None or message.WhichOneof("body") != "frame":
            raise StreamRefusedError(MALFORMED, "expected another message")
        state, mark = session.state, session.state.accepted
        taken = session.take(message.frame)
        require(taken.position == mark, "a frame was taken elsewhere than at the mark")
        if taken.records:
            state.learn(taken.defined)
            spool.append(
                state, taken.position, taken.records, points=taken.points, flags=taken.flags
            )
            sent.append((state, message.frame))
        return session


def _greeted(spool: LedgerSpool) -> Session | None:
    """Return a session as of a client that says what it must; None where the name is taken."""
    try:
        return open_session(frames.hello_of(b"\0\1\0\1"), spool.registry, writers_max=8)
    except StreamRefusedError:
        return None
