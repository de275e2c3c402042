"""HTTP/1.1 as uvicorn speaks it, but for one answer: what is no HTTP request is refused in our envelope too."""

from uuid import uuid4

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from libs.common.domain.failures import Code, Failure
from services.api.problems import error_answer
from services.api.security_headers import ALWAYS


class EnvelopeProtocol(H11Protocol):
    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's words
        """A peer that broke off in the middle of an exchange has no answer to get."""
        correlation_id = str(uuid4())
        body = msgspec.json.encode(error_answer(Failure(Code.BAD_REQUEST, "this is not an HTTP request"), correlation_id))
        headers = [
            *ALWAYS.items(),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-correlation-id", correlation_id.encode()),
            (b"connection", b"close"),
        ]
        try:
            for event in (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            pass
        self.transport.close()
