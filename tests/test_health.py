"""What a process knows of its deployments: latency that fades, places that are given back, a report without secrets."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway import errors as e
from gateway.admission import NoRoom
from gateway.breaker import BreakerRules
from gateway.catalogue import Catalogue, Credential, Deployment, Model
from gateway.domain import Zone
from gateway.health import Fleet, Latency, QueueRules


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def deployment(id_: str, **more) -> Deployment:
    secret = Credential(api_key="sk-very-secret")
    return Deployment(
        id_,
        "m",
        "p",
        "openai",
        "generic",
        "http://10.0.0.7/v1",
        "up",
        Zone.EXTERNAL,
        "k",
        credential=secret,
        **more,
    )


def fleet_of(*deployments: Deployment, clock: Clock | None = None) -> Fleet:
    catalogue = Catalogue({"m": Model("m", "m", "p", deployments)})
    return Fleet(catalogue, BreakerRules(failures_in_a_row=2), QueueRules(1, 0.01), clock or Clock())


def test_latency_is_an_average_that_fades_while_nobody_asks():
    latency = Latency()
    assert latency.at(0.0) is None
    latency.note(1.0, 0.0)
    latency.note(2.0, 0.0)
    assert latency.at(0.0) == pytest.approx(1.3)
    assert latency.at(30.0) == pytest.approx(0.65)


def test_places_are_given_back_once_and_a_failure_opens_and_a_success_closes():
    async def story() -> None:
        clock = Clock()
        one = deployment("one")
        fleet = fleet_of(one, clock=clock)
        for _ in range(2):
            place = await fleet.enter(one, "a")
            place.failed(e.UpstreamUnavailable("", ""))
            place.leave()
            place.leave()
        (standing,) = fleet.standings([one])
        assert (standing.open, standing.open_alone, standing.in_flight) == (False, False, 0)
        assert fleet.retry_after_s([one]) == 2
        clock.now += 2.0
        (standing,) = fleet.standings([one])
        assert (standing.open, standing.open_alone) == (False, True)
        place = await fleet.enter(one, "a")
        assert not fleet.standings([one])[0].open_alone
        place.answered(0.25)
        place.leave()
        (standing,) = fleet.standings([one])
        assert standing.open
        assert standing.first_token_s == pytest.approx(0.25)

    asyncio.run(story())


def test_a_deployment_over_its_rate_has_no_room_and_says_when():
    async def story() -> None:
        clock = Clock()
        one = deployment("one", requests_per_min=10)
        fleet = fleet_of(one, clock=clock)
        (await fleet.enter(one, "a")).leave()
        assert not fleet.standings([one])[0].free
        with pytest.raises(NoRoom) as refused:
            await fleet.enter(one, "a")
        assert refused.value.retry_after_s == 6
        clock.now += 6.0
        assert fleet.standings([one])[0].free

    asyncio.run(story())


def test_a_request_at_fault_says_nothing_against_its_deployment():
    async def story() -> None:
        one = deployment("one")
        fleet = fleet_of(one)
        for _ in range(5):
            place = await fleet.enter(one, "a")
            place.failed(e.UpstreamRejected("", "", upstream_status=400))
            place.leave()
        assert fleet.standings([one])[0].open

    asyncio.run(story())


def test_a_probe_that_ends_without_a_word_frees_the_next_one():
    async def story() -> None:
        clock, one = Clock(), deployment("one")
        fleet = fleet_of(one, clock=clock)
        for _ in range(2):
            place = await fleet.enter(one, "a")
            place.failed(e.UpstreamTimeout("", ""))
            place.leave()
        clock.now += 60
        (await fleet.enter(one, "a")).leave()
        assert fleet.standings([one])[0].open

    asyncio.run(story())


def test_the_report_names_states_and_figures_and_neither_addresses_nor_keys():
    async def story() -> None:
        one, two = deployment("one", max_concurrency=3), deployment("two")
        fleet = fleet_of(one, two)
        place = await fleet.enter(one, "a")
        for _ in range(2):
            failing = await fleet.enter(two, "a")
            failing.failed(e.UpstreamBroken("", "", upstream_message="SECRET"))
            failing.leave()
        report = fleet.report()
        place.leave()
        assert report["status"] == "degraded"
        first, second = report["models"][0]["deployments"]
        assert (first["state"], first["in_flight"], first["max_concurrency"]) == ("closed", 1, 3)
        assert (second["state"], second["last_failure"]) == ("open", "UpstreamBroken")
        text = json.dumps(report)
        assert not any(word in text for word in ("10.0.0.7", "sk-very", "SECRET"))

    asyncio.run(story())
