"""
TLS by OpenSSL on the socket itself.

Twisted's TLS reads from the socket, copies into a memory BIO, decrypts, and the same the other way: half as
expensive again as letting OpenSSL call ``recv`` and ``send``. The price is that handshake, half-done operations,
``close_notify`` and truncation are ours:

- a handshake is a stage before the protocol's bytes (:meth:`EagerConnection._enterStage`). A server's protocol is
  connected at accept, so that its deadline covers the handshake; ``handshakeCompleted()`` is called on it when it
  has such a method. A client's protocol is connected only after the certificate has been verified, and what goes
  wrong before reaches the endpoint's Deferred;
- a record is never read in part: a read asks for :data:`RECORD` bytes or more. So nothing the protocol has not seen
  ever stays inside OpenSSL, and the poller, which only knows the socket, tells the truth. Pausing needs nothing else;
- a read takes one record that is not for the protocol at most (``SSL_MODE_AUTO_RETRY`` is off): OpenSSL would take
  KeyUpdates as long as there are some, and nobody else would get a turn;
- an end without ``close_notify`` sets ``transport.truncated`` and is a ``ConnectionLost``, with it a
  ``ConnectionDone``. A body delimited by the end of the connection must know;
- TLS 1.3 may have to write in order to read (KeyUpdate): reading then rests until the socket takes bytes.

The read and write calls are made through pyOpenSSL's own binding rather than its methods, which allocate a buffer and
raise an exception each time: 5 µs of each request. The names used are checked by a test; the version is pinned.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import ffi, lib
from twisted.internet import abstract
from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

from revproxy.dataplane.net.eagerconnection import BROKEN, READ, READ_SIZE, EagerConnection

RECORD = 16384
"""The most plain bytes one record carries (RFC 8446 §5.1)."""

RECORDS_PER_TURN = 512
"""Small records taken at once before others get their turn: a millisecond."""

PROBE_EVERY = 128
"""
Small records that come singly before we ask whether another waits.

Asking is a system call that as a rule finds nothing, after every small request. OpenSSL could be told to read ahead
(``SSL_set_read_ahead``), but the binding has no name for it, and the poller would not know of what it holds.
"""

MESSAGES_PER_MINUTE = 32
"""
Messages after the handshake (KeyUpdate, session tickets) that a peer may send in a minute.

A KeyUpdate is 27 bytes and costs us 20 µs. Peers send one in many gigabytes, servers a handful of tickets at first.
"""

_readBuffer = ffi.new("char[]", READ_SIZE)


class _Messages:
    """:cvar last: the connection, as OpenSSL knows it, for which it last read or wrote a message that is no data."""

    last: Any = None


@ffi.callback("void (*)(const SSL *, int, int)")  # type: ignore[untyped-decorator]
def _noteMessage(ssl: Any, where: int, _: int) -> None:
    if where & SSL.SSL_CB_LOOP:
        _Messages.last = ssl


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """
    What a handshake agreed on.

    :ivar serverName: the name the client asked for (SNI), lower case; a client's: the name it verified.
    :ivar protocol: ``TLSv1.2`` or ``TLSv1.3``.
    :ivar cipher: OpenSSL's name of the cipher.
    :ivar alpn: the protocol agreed on, empty if none.
    :ivar clientName: who a verified client certificate names: its subject as RFC 4514 writes it
        (``CN=alice,O=Example``), or, where that is empty, its first alternative name with its type
        (``DNS:a.example``); :obj:`None` without a certificate.
    :ivar resumed: whether an earlier session was taken up.
    """

    serverName: str | None
    protocol: str
    cipher: str
    alpn: bytes
    clientName: str | None
    resumed: bool


class SocketTLS(EagerConnection):
    """What both ends do once the handshake is over, and how it is made."""

    tlsInfo: TLSInfo | None = None
    _tls: Any = None
    _ssl: Any = None
    _heldEnd: Any = None
    _closeNotified = False
    _readAwaitsWrite = False
    _writeAwaitsRead = False
    _untilProbe = PROBE_EVERY
    _messages = 0
    _messagesSince = 0.0

    # -- handshake

    def _beginHandshake(self, connection: SSL.Connection) -> Any:
        self._tls = connection
        self._enterStage(self._handshake, self._handshake)
        return self._handshake()

    def _handshake(self) -> Any:
        """One step, whichever event it was. :return: the reason to end, if any."""
        if self.disconnecting:
            return CONNECTION_DONE
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self.reactor.removeWriter(self)
            return None
        except SSL.WantWriteError:
            self.reactor.addWriter(self)
            return None
        except Exception as e:
            return self._handshakeFailed(e)
        self._ssl = self._tls._ssl
        # pyOpenSSL sets it for each connection.
        lib.SSL_clear_mode(self._ssl, lib.SSL_MODE_AUTO_RETRY)
        lib.SSL_set_info_callback(self._ssl, _noteMessage)
        return self._handshakeDone()

    def _handshakeFailed(self, e: Exception) -> Any:
        raise NotImplementedError

    def _handshakeDone(self) -> Any:
        raise NotImplementedError

    def _describe(self, serverName: str | None, clientName: str | None) -> TLSInfo:
        tls = self._tls
        return TLSInfo(
            serverName=serverName,
            protocol=sys.intern(tls.get_protocol_version_name()),
            cipher=sys.intern(tls.get_cipher_name() or ""),
            alpn=tls.get_alpn_proto_negotiated(),
            clientName=clientName,
            resumed=bool(lib.SSL_session_reused(tls._ssl)),
        )

    # -- reading

    def doRead(self) -> Any:
        """Deliver one record, or those that are there when they come full, or many."""
        lib.ERR_clear_error()
        got = count = lib.SSL_read(self._ssl, _readBuffer, RECORD)
        if count != RECORD:
            untilProbe = self._untilProbe = self._untilProbe - 1
            if untilProbe <= 0 < count:
                got, count = self._readSmall(got)
        else:
            got, count = self._readFull(got)
        end = self._readStopped(count) if count <= 0 else None
        if got > 0:
            self.protocol.dataReceived(ffi.buffer(_readBuffer, got)[:])
            if end is not None and self._input is not READ and self.connected:
                # Paused by what it just got: the end waits as bytes in the kernel would.
                self._heldEnd = end
                return None
        if self._writeAwaitsRead:
            self._writeAwaitsRead = False
            if self.connected:
                self.startWriting()
        return end

    def _readFull(self, got: int) -> tuple[int, int]:
        """
        Take the records that wait behind a full one as long as they are full, too.

        :return: how many bytes are in the buffer, and what the last ``SSL_read`` gave.
        """
        count = RECORD
        while count == RECORD and got <= READ_SIZE - RECORD:
            count = lib.SSL_read(self._ssl, _readBuffer + got, RECORD)
            if count > 0:
                got += count
        return got, count

    def _readSmall(self, got: int) -> tuple[int, int]:
        """
        Take the records that wait behind a small one, up to :data:`RECORDS_PER_TURN`.

        As long as there are some, the next turn asks at once: a turn of the loop costs five times a record.

        :return: as above.
        """
        ssl = self._ssl
        read = lib.SSL_read
        records = count = 1
        while records < RECORDS_PER_TURN and got <= READ_SIZE - RECORD:
            count = read(ssl, _readBuffer + got, RECORD)
            if count <= 0:
                break
            got += count
            records += 1
        self._untilProbe = 1 if records > 1 else PROBE_EVERY
        return got, count

    def _messageRead(self) -> Any:
        """Count what was not for the protocol. :return: the reason to end a connection that has too much of it."""
        _Messages.last = None
        now = self.reactor.seconds()
        if now - self._messagesSince > 60:
            self._messagesSince = now
            self._messages = 0
        self._messages += 1
        if self._messages <= MESSAGES_PER_MINUTE:
            return None
        self.truncated = True
        return CONNECTION_LOST

    def _readStopped(self, count: int) -> Any:
        """Why ``SSL_read`` gave nothing. :return: the reason to end, or :obj:`None` to go on."""
        why = lib.SSL_get_error(self._ssl, count)
        if why == lib.SSL_ERROR_WANT_READ:
            last = _Messages.last
            return self._messageRead() if last is not None and last == self._ssl else None
        if why == lib.SSL_ERROR_WANT_WRITE:
            self._readAwaitsWrite = True
            self.reactor.removeReader(self)
            self.startWriting()
            return None
        lib.ERR_clear_error()
        if why == lib.SSL_ERROR_ZERO_RETURN and self._phase is not BROKEN:
            return CONNECTION_DONE
        self.truncated = True
        return CONNECTION_LOST

    def startReading(self) -> None:
        """As for a plain connection; an end that came while paused is told now."""
        super().startReading()
        if self._heldEnd is not None:
            self.reactor.callLater(0, self._releaseEnd)

    def _releaseEnd(self) -> None:
        end, self._heldEnd = self._heldEnd, None
        if end is None or not self.connected:
            return
        if self._input is not READ:
            self._heldEnd = end
            return
        self.stopReading()
        if end is CONNECTION_DONE:
            self.readConnectionLost(Failure(end))
        else:
            self.connectionLost(Failure(end))

    # -- writing

    def write(self, data: bytes) -> None:
        """Encrypt and send, at once when nothing is queued."""
        if not self._eager or not data:
            abstract.FileDescriptor.write(self, data)
            return
        size = len(data)
        if size <= RECORD and data.__class__ is bytes:
            lib.ERR_clear_error()
            sent = lib.SSL_write(self._ssl, data, size)
            if sent == size:
                return
            if sent <= 0:
                sent = self._writeStopped(sent)
        else:
            sent = self.writeSomeData(data)
        if sent.__class__ is not int:
            self._writeFailed()
        elif sent != size:
            self._queue(data, sent)

    def writeSomeData(self, data: Any) -> Any:
        """Encrypt and send record by record until the kernel takes no more."""
        with ffi.from_buffer(data) as start:
            size = len(data)
            total = 0
            lib.ERR_clear_error()
            while total < size:
                sent = lib.SSL_write(self._ssl, start + total, size - total)
                if sent <= 0:
                    stopped = self._writeStopped(sent)
                    return total if stopped == 0 else stopped
                total += sent
        return total

    def _writeStopped(self, count: int) -> Any:
        """Why ``SSL_write`` took nothing. :return: 0 to try again later, or the reason to end."""
        why = lib.SSL_get_error(self._ssl, count)
        if why == lib.SSL_ERROR_WANT_WRITE:
            return 0
        if why == lib.SSL_ERROR_WANT_READ:
            self._writeAwaitsRead = True
            return 0
        lib.ERR_clear_error()
        return CONNECTION_LOST

    def doWrite(self) -> Any:
        """Send from the queue; first let a read go on that waited for room."""
        if self._readAwaitsWrite:
            self._readAwaitsWrite = False
            if self._input is READ:
                self.reactor.addReader(self)
            end = self.doRead()
            if end is not None or not self.connected:
                return end
        end = super().doWrite()
        if self._writeAwaitsRead and self.connected:
            self.stopWriting()
        return end

    # -- the end

    def _sendCloseNotify(self) -> bool:
        """:return: :obj:`False` when the kernel has no room for it yet."""
        if self._ssl is None or self._phase is BROKEN or self._closeNotified:
            return True
        try:
            self._tls.shutdown()
        except SSL.WantWriteError:
            return False
        except SSL.Error:
            pass
        self._closeNotified = True
        return True

    def _postLoseConnection(self) -> Any:
        if self._sendCloseNotify():
            return CONNECTION_DONE
        self.startWriting()
        return None

    def _closeWriteConnection(self) -> None:
        if self._sendCloseNotify():
            super()._closeWriteConnection()
        else:
            self._writeDisconnected = False
            self.startWriting()

    def connectionLost(self, reason: Failure) -> None:
        """Answer a proper end properly, then release all: OpenSSL must not keep the number of a closed socket."""
        if reason.check(ConnectionDone):
            self._sendCloseNotify()
        super().connectionLost(reason)
        self._ssl = None
        self._tls = None


def reasonOf(e: Exception, connection: Any) -> str:
    """What a person can read of an OpenSSL error."""
    if isinstance(e, SSL.SysCallError):
        return "the connection ended during the handshake"
    noted = connection.get_app_data() if connection is not None else None
    if noted is not None:
        return f"its certificate does not verify: {noted}"
    if isinstance(e, SSL.Error) and e.args and e.args[0]:
        return "; ".join(str(entry[-1]) for entry in e.args[0])
    return str(e) or type(e).__name__


__all__ = ["RECORD", "SocketTLS", "TLSInfo", "reasonOf"]
