"""The bounds of trying: attempts, time, cost, a client that has left. Attempts are played, the rest is real."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from billing.usage import Usage
from gateway import errors as e
from gateway.breaker import BreakerRules
from gateway.catalogue import Catalogue, Deployment, Model, Strategy
from gateway.cohort import Cohort
from gateway.domain import Call, Caller, Delta, Zone
from gateway.failover import Failover, Leg, Team
from gateway.health import Fleet, QueueRules
from gateway.retry import RetryRules

CALL = Call("00000000-0000-7000-8000-000000000000", Caller("p", "k", "d", ("i", "d")), None, "chat")

COHORT = Cohort()


def deployment(id_: str, zone: Zone = Zone.EXTERNAL) -> Deployment:
    return Deployment(id_, "m", "p", "openai", "generic", "http://x", "m", zone, "k")


class Played:
    """A dispatcher whose attempts end as the script says, deployment by deployment; each failure costs 100."""

    def __init__(self, **script) -> None:
        self.script = {id_: list(ends) for id_, ends in script.items()}
        self.asked: list[str] = []
        self.receipts: list[object] = []
        self.gone: list[str] = []

    def prepare(self, call, request, deployment, number, place):
        self.asked.append(deployment.id)
        return PlayedAttempt(self, deployment, place)


class PlayedAttempt:
    def __init__(self, play: Played, deployment: Deployment, place) -> None:
        self._play, self._place, self.deployment = play, place, deployment
        self.charge = SimpleNamespace(amount_nano_krw=100, usage=Usage())

    def client_gone(self) -> None:
        self._play.gone.append(self.deployment.id)

    async def events(self, beside):
        self._play.receipts += beside
        end = self._play.script[self.deployment.id].pop(0)
        try:
            if isinstance(end, Exception):
                self._place.failed(end)
                raise end
            yield [Delta(text=end)]
            yield [Delta(finish_reason="stop")]
        finally:
            self._place.leave()


def failover(play: Played, *models: tuple[Deployment, ...], **rules) -> Failover:
    made = [Model(f"m{i}", "m", "p", deployments) for i, deployments in enumerate(models)]
    fleet = Fleet(Catalogue({m.id: m for m in made}), BreakerRules(), QueueRules())
    retry = RetryRules(**({"backoff_s": 0.0} | rules))
    team = Team(fleet, play, retry, Strategy.WEIGHTED, cohort=COHORT)
    legs = [
        Leg(SimpleNamespace(model=m, zones=m.zones, verdict="verdict", countries=None), None) for m in made
    ]
    return Failover(team, CALL, legs, lambda way, number: ((way.verdict, number),), 100)


def run(play: Played, *models: tuple[Deployment, ...], **rules):
    async def story():
        return await failover(play, *models, **rules).open()

    return asyncio.run(story())


DOWN, BUSY = e.UpstreamUnavailable("", ""), e.UpstreamRateLimited("", "", retry_after_s=60)
A, B, C = deployment("a"), deployment("b"), deployment("c")


def test_the_first_content_opens_and_the_rest_is_left():
    opened = run(Played(a=["네"]), (A,))
    assert [d.text for d in opened.first] == ["네"]
    assert opened.attempts == 1


def test_another_deployment_comes_before_the_same_again():
    play = Played(a=[DOWN, "네"], b=[DOWN])
    opened = run(play, (A, B))
    assert play.asked == ["a", "b", "a"]
    assert opened.attempts == 3
    assert play.receipts == [("verdict", 0)]


def test_attempts_at_one_model_are_bounded_and_its_fallback_begins_anew():
    play = Played(a=[DOWN] * 9, b=["네"])
    opened = run(play, (A,), (B,), attempts=2)
    assert play.asked == ["a", "a", "b"]
    assert opened.leg.way.model.id == "m1"


def test_every_deployment_is_asked_once_however_few_attempts_are_configured():
    play = Played(a=[DOWN], b=[DOWN], c=["네"])
    run(play, (A, B, C), attempts=1)
    assert sorted(play.asked) == ["a", "b", "c"]


def test_no_attempt_begins_once_the_failed_ones_cost_too_much():
    play = Played(a=[DOWN] * 9, b=["네"])
    with pytest.raises(e.UpstreamUnavailable):
        run(play, (A,), (B,), attempts=5, retry_cost_nano_krw=200)
    assert play.asked == ["a", "a"]


def test_no_attempt_begins_once_the_time_is_over():
    play = Played(a=[DOWN] * 9, b=["네"])
    with pytest.raises(e.UpstreamUnavailable):
        run(play, (A,), (B,), retry_for_s=0.0)
    assert play.asked == ["a"]


def test_a_pause_that_is_too_long_is_not_waited_for():
    play = Played(a=[BUSY, "네"])
    with pytest.raises(e.UpstreamRateLimited):
        run(play, (A,), pause_most_s=10.0)
    assert play.asked == ["a"]


def test_a_request_at_fault_is_not_sent_to_anybody_else():
    play = Played(a=[e.UpstreamRejected("", "", upstream_status=400)], b=["네"])
    with pytest.raises(e.UpstreamRejected):
        run(play, (A, B))
    assert play.asked == ["a"]


def test_a_deployment_that_lacks_the_feature_is_passed_over():
    class Lacking(Played):
        def prepare(self, call, request, deployment, number, place):
            if deployment is A:
                raise e.UnsupportedFeature("", "")
            return super().prepare(call, request, deployment, number, place)

    play = Lacking(b=["네"])
    assert run(play, (A, B)).attempts == 1


def test_a_client_that_leaves_in_a_pause_ends_it_at_once():
    async def story() -> None:
        play = Played(a=[DOWN, "네"])
        trying = failover(play, (A,), backoff_s=5.0)
        opening = asyncio.ensure_future(trying.open())
        await asyncio.sleep(0.01)
        trying.client_gone()
        with pytest.raises(e.UpstreamUnavailable):
            await asyncio.wait_for(opening, 1)
        assert (play.asked, play.gone) == (["a"], ["a"])

    asyncio.run(story())


def test_for_a_client_that_leaves_between_two_steps_nobody_is_asked():
    async def story() -> None:
        play = Played(a=["네"])
        trying = failover(play, (A,))
        with COHORT, COHORT:  # somebody else is here, who is waited for
            opening = asyncio.ensure_future(trying.open())
            await asyncio.sleep(0)
            trying.client_gone()
            with pytest.raises(e.ServiceUnavailable):
                await opening
        assert (trying.asked, play.receipts) == (False, [])

    asyncio.run(story())


def test_no_deployment_inside_the_zones_is_said_without_asking():
    play = Played()
    with pytest.raises(e.ServiceUnavailable) as refused:
        run(play, ())
    assert refused.value.code == "no_deployment"
    assert play.asked == []
