"""The WebSocket's protocol: uvicorn's, which keeps a connection open whose handshake cannot be read."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

UNREADABLE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Stream(WebSocketsSansIOProtocol):
    """Answers 400 to a handshake that is no handshake: headers too long or too many, or a body."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(UNREADABLE)
            self.transport.close()
