"""The client at the other end: gone, stalled or waiting; seen without a task for short answers."""

from __future__ import annotations

import asyncio

from gateway.reader import KEEPALIVE, Patience, Reader

HEADERS = [(b"content-type", b"text/event-stream")]


class Client:
    """A server's two callables, by hand."""

    def __init__(self) -> None:
        self.sent: list[dict] = []
        self.left = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.asked_whether_it_left = 0

    async def receive(self) -> dict:
        self.asked_whether_it_left += 1
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        await self.takes.wait()
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def with_reader(story, **patience):
    async def run() -> None:
        client, gone = Client(), []
        with Reader(client.receive, client.send, Patience(**patience), lambda: gone.append(True)) as reader:
            await story(client, reader, gone)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)  # only the cancelled watch may be left
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(run())


def test_a_short_answer_is_sent_without_watching():
    async def story(client, reader, gone):
        await reader.start(200, HEADERS)
        await reader.write(b"data: 1\n\n")
        await reader.write(b"", last=True)
        assert [m["type"].rsplit(".", 1)[1] for m in client.sent] == ["start", "body", "body"]
        assert [m.get("more_body") for m in client.sent[1:]] == [True, False]
        assert client.asked_whether_it_left == 0

    with_reader(story)


def test_a_client_that_leaves_is_noticed_once_and_gets_nothing_more():
    async def story(client, reader, gone):
        client.left.set()
        await asyncio.sleep(0.25)
        assert (reader.gone, gone) == (True, [True])
        await reader.start(200, HEADERS)
        await reader.write(b"x", last=True)
        assert client.sent == []

    with_reader(story)


def test_a_disconnect_after_the_last_byte_is_no_leaving():
    async def story(client, reader, gone):
        await asyncio.sleep(0.25)
        await reader.start(200, HEADERS)
        await reader.write(b"x", last=True)
        client.left.set()
        await asyncio.sleep(0.01)
        assert (reader.gone, gone) == (False, [])

    with_reader(story)


def test_a_client_that_takes_nothing_is_gone_and_the_task_goes_on():
    async def story(client, reader, gone):
        await reader.start(200, HEADERS)
        client.takes.clear()
        await reader.write(b"never taken")
        assert (reader.gone, gone) == (True, [True])
        await asyncio.sleep(0)  # no cancellation is left over

    with_reader(story, stalled_s=0.1)


def test_a_cancellation_from_outside_is_passed_on():
    async def story(client, reader, gone):
        client.takes.clear()
        asyncio.get_running_loop().call_later(0.01, asyncio.current_task().cancel)
        try:
            await reader.write(b"x")
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            assert not reader.gone
        else:
            raise AssertionError("it was swallowed")

    with_reader(story)


def test_comments_begin_only_when_asked_for_and_only_in_silence():
    async def story(client, reader, gone):
        await asyncio.sleep(0.3)
        assert client.sent == []
        reader.keep_alive(HEADERS)
        await asyncio.sleep(0.35)
        assert client.sent[0] == {"type": "http.response.start", "status": 200, "headers": HEADERS}
        assert 2 <= client.body.count(KEEPALIVE) <= 4
        await reader.start(200, [])
        assert sum(m["type"] == "http.response.start" for m in client.sent) == 1
        before = client.body.count(KEEPALIVE)
        for _ in range(10):
            await reader.write(b"data: 1\n\n")
            await asyncio.sleep(0.03)
        assert client.body.count(KEEPALIVE) == before

    with_reader(story, keepalive_s=0.1)


def test_a_client_that_takes_no_comment_is_gone():
    async def story(client, reader, gone):
        client.takes.clear()
        reader.keep_alive(HEADERS)
        await asyncio.sleep(0.6)
        assert gone == [True]

    with_reader(story, keepalive_s=0.05, stalled_s=0.2)
