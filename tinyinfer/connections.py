"""HTTP connections that cannot be held for ever: by headers or bodies that do not end, or by answers nobody reads."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_for(seconds: float) -> type[H11Protocol]:
    """The protocol of connections that end when a request takes longer than `seconds` to arrive, however steadily its
    bytes come, or when the client reads nothing of its answer for that long."""

    class Connection(H11Protocol):
        clocks: dict[str, asyncio.TimerHandle]

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.clocks = {}
            self._watch_request()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_request()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch_request()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._start("answer")

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop("answer")

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop("request")
            self._stop("answer")

        def _watch_request(self) -> None:
            """The clock runs from the first moment without a whole request until there is one; bytes do not stop it."""
            whole = self.conn.their_state in (h11.DONE, h11.MUST_CLOSE)
            if whole and self.cycle is not None and not self.cycle.response_complete:
                self._stop("request")
            elif not self.transport.is_closing():
                self._start("request")

        def _start(self, clock: str) -> None:
            if clock not in self.clocks:
                self.clocks[clock] = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self, clock: str) -> None:
            if clock in self.clocks:
                self.clocks.pop(clock).cancel()

    return Connection
