"""An upstream that answers at once: raw asyncio, no framework, OpenAI's chat format whole and streamed.

python -m benchmarks.upstream --port 9100 [--chunks 100] [--interval-ms 0] [--joined] [--stamped]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

TEXT = "도로 점용 허가는 도로관리청에 신청서와 설계도면을 내어 받습니다. "
USAGE = {"prompt_tokens": 612, "completion_tokens": 100, "total_tokens": 712}


def whole() -> bytes:
    message = {"role": "assistant", "content": TEXT * 6}
    body = json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1,
            "model": "bench",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": USAGE,
        },
        ensure_ascii=False,
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench",
        "choices": [choice],
    }
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def frames(chunks: int) -> list[bytes]:
    """The pieces of a stream as HTTP chunks: `chunks` events of text, the end, the usage, [DONE]."""
    usage = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "bench", "choices": []}
    events = [_event({"content": "도로 점용 "}) for _ in range(chunks)]
    events += [_event({}, "stop"), b"data: " + json.dumps({**usage, "usage": USAGE}).encode() + b"\n\n"]
    events.append(b"data: [DONE]\n\n")
    return [*map(_chunk, events), b"0\r\n\r\n"]


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


DIGITS = "가나다라마바사아자차"


def stamp() -> str:
    """Now, in microseconds of the machine's clock, in syllables: digits might be held back as a number."""
    return "".join(DIGITS[int(digit)] for digit in str(time.monotonic_ns() // 1000)) + " "


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Answering(asyncio.Protocol):
    WHOLE = whole()
    FRAMES: tuple[bytes, ...] = ()
    INTERVAL_S = 0.0
    STAMPED = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            if b'"stream":true' in body or b'"stream": true' in body:
                self._stream()
            else:
                self._transport.write(self.WHOLE)

    def _stream(self) -> None:
        if self.INTERVAL_S:
            self._task = asyncio.ensure_future(self._slowly())
        else:
            # One write per event, as a provider that generates: nothing is joined on purpose.
            self._transport.write(STREAM_HEAD)
            for frame in self.FRAMES:
                self._transport.write(frame)

    async def _slowly(self) -> None:
        self._transport.write(STREAM_HEAD)
        for frame in self.FRAMES:
            if self._transport.is_closing():
                return
            says = self.STAMPED and b'"content"' in frame
            self._transport.write(_chunk(_event({"content": stamp()})) if says else frame)
            await asyncio.sleep(self.INTERVAL_S)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--interval-ms", type=float, default=0)
    parser.add_argument("--joined", action="store_true", help="each stream in one write")
    parser.add_argument("--stamped", action="store_true", help="slow chunks say when they were sent")
    options = parser.parse_args()
    Answering.FRAMES = tuple(frames(options.chunks))
    if options.joined:
        Answering.FRAMES = (b"".join(Answering.FRAMES),)
    Answering.STAMPED = options.stamped
    Answering.INTERVAL_S = options.interval_ms / 1000
    server = await asyncio.get_running_loop().create_server(
        Answering, "127.0.0.1", options.port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
