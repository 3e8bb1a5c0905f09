"""Side calls: known by their header, sent to a cheap model only where it is open to the caller."""

from __future__ import annotations

from gateway.catalogue import Catalogue, Model
from gateway.domain import Caller
from gateway.sidecalls import SideCalls

BIG, CHEAP, IMAGE = (
    Model(id_, id_, "p", (), kind) for id_, kind in (("big", "chat"), ("cheap", "chat"), ("image", "image"))
)
CATALOGUE = Catalogue({model.id: model for model in (BIG, CHEAP, IMAGE)})
ANYONE = Caller("p", "k", "d", ("i", "d"))
LIMITED = Caller("p", "k", "d", ("i", "d"), allowed_models=frozenset({"big"}))
SIDE = SideCalls(model_id="cheap")


def test_a_task_is_known_by_its_header_and_nothing_else_becomes_a_label():
    assert SIDE.task({"x-openwebui-task": "title_generation"}) == "title_generation"
    assert SIDE.task({"x-openwebui-task": "주민번호 900101-1234567"}) == ""
    assert SIDE.task({}) == ""


def test_a_task_is_answered_by_the_cheap_model_where_that_is_open():
    assert SIDE.model("title_generation", BIG, ANYONE, CATALOGUE) is CHEAP
    assert SIDE.model("title_generation", BIG, LIMITED, CATALOGUE) is BIG
    assert SIDE.model("", BIG, ANYONE, CATALOGUE) is BIG
    assert SIDE.model("title_generation", IMAGE, ANYONE, CATALOGUE) is IMAGE
    assert SideCalls().model("title_generation", BIG, ANYONE, CATALOGUE) is BIG
