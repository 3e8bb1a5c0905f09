"""Whatever a client does: it pays for what was generated, and what it does not take bounds nobody's memory."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.clients import RawClient
from tests.faults.conftest import LIMITS, serving_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.server import Addresses, FaultServer
    from tests.journeys.conftest import Gateway


def wait_until(true: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def charge_of(gateway: Gateway, attempt_id: str) -> dict[str, Any]:
    """The one charge of an attempt, once it is there."""
    found: list[dict[str, Any]] = []

    def settled() -> bool:
        found[:] = gateway.rows("SELECT * FROM ledger_charge WHERE attempt_id = :a", a=attempt_id)
        return bool(found)

    wait_until(settled)
    assert len(found) == 1
    return found[0]


def newest_attempt(faults: FaultServer, before: int) -> str:
    wait_until(lambda: len(faults.seen) > before)
    return faults.attempts()[-1]


# --- leaving ---------------------------------------------------------------------------------------


def test_a_client_that_hangs_up_still_pays_for_what_was_generated(
    gateway: Gateway, faults: FaultServer
) -> None:
    """The fault server needs 4 s for its stream, the gateway drains for 1 s: the rest is estimated."""
    before = len(faults.seen)
    with RawClient(gateway) as client:
        client.ask("slow-stream/one/stream")
        client.read_first_word()
    charge = charge_of(gateway, newest_attempt(faults, before))

    assert (charge["outcome"], charge["source"]) == ("client_gone", "estimated")
    assert charge["output"] > 0


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_a_client_that_leaves_before_the_first_token_pays_what_the_provider_reports(
    gateway: Gateway, faults: FaultServer, way: str
) -> None:
    before = len(faults.seen)
    with RawClient(gateway) as client:
        client.ask(f"slow-start/two/{way}", stream=way == "stream")
        attempt = newest_attempt(faults, before)
    charge = charge_of(gateway, attempt)

    assert (charge["outcome"], charge["source"]) == ("client_gone", "reported")
    assert charge["input"] == 20


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_for_a_client_that_has_left_nobody_else_is_asked(
    gateway: Gateway, faults: FaultServer, way: str
) -> None:
    before = len(faults.seen)
    with RawClient(gateway) as client:
        client.ask(f"slow-failure/two/{way}", stream=way == "stream")
        attempt = newest_attempt(faults, before)
    charge = charge_of(gateway, attempt)
    time.sleep(0.3)

    assert (charge["outcome"], charge["amount_nano_krw"]) == ("refused_by_provider", 0)
    assert faults.attempts()[before:] == [attempt]


def test_an_endless_stream_without_a_client_is_closed_after_so_many_tokens(
    gateway: Gateway, faults: FaultServer
) -> None:
    """It says 50 words a second: the 100 of drain_tokens would take 2 s, the 1 s of drain_s comes first."""
    before = len(faults.seen)
    with RawClient(gateway) as client:
        client.ask("endless-stream/one/stream")
        client.read_first_word()
    attempt = newest_attempt(faults, before)

    assert charge_of(gateway, attempt)["outcome"] == "client_gone"
    wait_until(lambda: attempt in faults.hung_up)


def test_a_flood_without_a_client_is_cut_by_its_tokens(gateway: Gateway, faults: FaultServer) -> None:
    before = len(faults.seen)
    with RawClient(gateway) as client:
        client.ask("flood/one/stream")
        client.read_first_word()
    attempt = newest_attempt(faults, before)

    assert charge_of(gateway, attempt)["outcome"] == "client_gone"
    wait_until(lambda: attempt in faults.hung_up)
    assert (
        faults.sent[attempt] < 45_000_000
    )  # of 60: what comes in the 0.2 s before anybody looks, and a little


# --- reading slowly --------------------------------------------------------------------------------


def standing(read: Callable[[], int], still_s: float = 0.4) -> int:
    """Wait until a count stands still; return it."""
    count, since = read(), time.monotonic()
    while time.monotonic() - since < still_s:
        time.sleep(0.05)
        if read() != count:
            count, since = read(), time.monotonic()
    return count


def test_a_slow_reader_bounds_what_is_read_from_the_provider(gateway: Gateway, faults: FaultServer) -> None:
    """60 MB wait; while the client takes nothing, only the sockets' buffers fill."""
    before = len(faults.seen)
    with RawClient(gateway, receive_buffer=65536) as client:
        client.ask("flood/one/stream")
        client.read_first_word()
        attempt = newest_attempt(faults, before)
        stuck_at = standing(lambda: faults.sent[attempt])
        print(f"{stuck_at / 1e6:.1f} MB of 30 were taken while the client took nothing")
        assert stuck_at < 20_000_000
        client.read_to_the_end()
        assert b"[DONE]" in client.received
    assert (charge_of(gateway, attempt)["outcome"], len(client.received) > 29_000_000) == ("success", True)


def test_a_reader_that_takes_nothing_is_treated_as_gone(gateway: Gateway, faults: FaultServer) -> None:
    before = len(faults.seen)
    with RawClient(gateway, receive_buffer=65536) as client:
        client.ask("flood/one/stream")
        client.read_first_word()
        attempt = newest_attempt(faults, before)
        assert charge_of(gateway, attempt)["outcome"] == "client_gone"
        wait_until(lambda: attempt in faults.hung_up)


# --- waiting ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def patient(
    tmp_path_factory: pytest.TempPathFactory, faults: FaultServer, addresses: Addresses
) -> Iterator[Gateway]:
    """A gateway that sends a comment after 0.2 s of silence."""
    limits = LIMITS + "keepalive_s = 0.2\n"
    with serving_faults(tmp_path_factory.mktemp("patient"), faults, addresses, limits=limits) as made:
        yield made


def test_comments_keep_a_waiting_stream_alive(patient: Gateway) -> None:
    with RawClient(patient) as client:
        client.ask("slow-start/one/stream")
        client.read_to_the_end()

    assert client.status == 200
    comments, _, rest = client.received.partition(b"data: ")
    assert 2 <= comments.count(b": keep-alive\n\n") <= 4
    assert b": keep-alive" not in rest
    assert b"data: [DONE]" in rest


def test_after_the_first_comment_a_failure_is_an_event_in_the_stream(
    patient: Gateway, faults: FaultServer
) -> None:
    before = len(faults.seen)
    with RawClient(patient) as client:
        client.ask("slow-failure/one/stream")
        client.read_to_the_end()

    assert client.status == 200
    assert [event["error"]["code"] for event in client.events()] == ["upstream_unavailable"]
    assert b"[DONE]" not in client.received
    charges = patient.charges(client.request_id)
    assert [c["attempt_id"] for c in charges] == faults.attempts()[before:]


def test_a_fallback_after_comments_still_answers(patient: Gateway) -> None:
    with RawClient(patient) as client:
        client.ask("slow-failure/two/stream")
        client.read_to_the_end()

    assert client.status == 200
    assert b": keep-alive" in client.received
    assert b"[DONE]" in client.received
    assert all("error" not in event for event in client.events())


def test_a_whole_answer_never_gets_comments(patient: Gateway) -> None:
    with RawClient(patient) as client:
        client.ask("slow-start/one/whole", stream=False)
        client.read_until(b'"usage"')
    assert b"keep-alive\n" not in client.received


# --- the server going down -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_a_server_that_stops_lets_an_answer_finish(
    tmp_path: Any, faults: FaultServer, addresses: Addresses, way: str
) -> None:
    """uvicorn's grace is 3 s in tests; the answer takes 0.8 s."""
    before = len(faults.seen)
    with serving_faults(tmp_path, faults, addresses) as stopping:
        client = RawClient(stopping)
        client.ask(f"slow-start/one/{way}", stream=way == "stream")
        attempt = newest_attempt(faults, before)
    client.read_until(b"[DONE]" if way == "stream" else b'"usage"')
    client.leave()
    assert charge_of(stopping, attempt)["outcome"] == "success"


def test_a_server_that_stops_cuts_what_does_not_end_and_settles_it(
    tmp_path: Any, faults: FaultServer, addresses: Addresses
) -> None:
    before = len(faults.seen)
    clients: list[RawClient] = []
    with serving_faults(tmp_path, faults, addresses, grace_s=1) as stopping:
        for model in ("endless-stream/one/stream", "slow-stream/one/stream"):
            clients.append(RawClient(stopping))
            clients[-1].ask(model)
            clients[-1].read_first_word()
        reading = [threading.Thread(target=_read_all, args=(client,)) for client in clients]
        for thread in reading:
            thread.start()
    for thread in reading:
        thread.join(10)

    for attempt in faults.attempts()[before:]:
        charge = charge_of(stopping, attempt)
        assert (charge["outcome"], charge["source"]) == ("broken", "estimated")
        assert charge["reason"]
    for client in clients:
        assert client.events()[-1]["error"]["code"] == "shutting_down"
        assert b"[DONE]" not in client.received
        client.leave()
    assert (
        stopping.rows(
            "SELECT * FROM ledger_dispatch d LEFT JOIN ledger_charge c USING (attempt_id) WHERE charge_id IS NULL"
        )
        == []
    )


def test_a_server_that_stops_says_so_to_who_waits_for_a_whole_answer(
    tmp_path: Any, faults: FaultServer, addresses: Addresses
) -> None:
    before = len(faults.seen)
    with serving_faults(tmp_path, faults, addresses, grace_s=1) as stopping:
        client = RawClient(stopping)
        client.ask("endless-stream/one/whole", stream=False)
        attempt = newest_attempt(faults, before)
    client.read_until(b'"shutting_down"')
    client.leave()

    assert client.status == 503
    assert charge_of(stopping, attempt)["outcome"] == "broken"


def test_who_leaves_between_two_attempts_disturbs_nothing(gateway: Gateway, faults: FaultServer) -> None:
    """The first attempt is over, the second not begun: its deadline must not ring in somebody else's work."""
    before = len(faults.seen)
    with RawClient(gateway) as client:
        client.ask("rate-limited-briefly/one/whole", stream=False)
        attempt = newest_attempt(faults, before)
        assert charge_of(gateway, attempt)["outcome"] == "refused_by_provider"
        time.sleep(0.1)
    time.sleep(1.3)  # longer than drain_s and than the Retry-After
    response = gateway.post({"model": "fine/one/whole", "messages": [{"role": "user", "content": "안녕"}]})

    assert response.status_code == 200
    assert [entry["fault"] for entry in faults.seen[before:]] == ["rate-limited-briefly", "fine"]


def _read_all(client: RawClient) -> None:
    while data := client.socket.recv(65536):
        client.received += data
