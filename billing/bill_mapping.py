"""A bill of a provider that no layout knows, described column by column in TOML. Pure."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from billing.bill_layouts import Layout, Part
from billing.bill_rows import ALL_BUCKETS, COST, Wrong, name_of, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.bill_layouts import Cells


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Which column of somebody's bill says what.

    `read` takes TOML:

    timezone = "Asia/Seoul"
    currency = "KRW"
    day = "사용일"            # day_format = "%Y년 %m월 %d일" where it is unusual
    model = "모델"            # or model_is = "solar-pro" for a bill of one model
    key = "키 이름"
    cost = "금액"             # of the row, or …
    [quantities]              # … one column for each bucket
    "입력 토큰" = "input"
    "출력 토큰" = "output"
    [classes]                 # or a column that says which, and one that says how many
    column = "구분"
    quantity = "수량"
    per = 1000
    names = { "입력" = "input", "출력" = "output" }
    """

    timezone: str
    day: str
    currency: str = "KRW"
    currency_column: str = ""
    day_format: str = ""
    encoding: str | None = None
    model: str = ""
    model_is: str = ""
    key: str = ""
    cost: str = ""
    exact: bool = True
    per: Decimal = Decimal(1)
    quantities: Mapping[str, str] = field(default_factory=dict)
    class_column: str = ""
    class_quantity: str = ""
    class_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, data: bytes) -> ColumnMap:
        """Raises BillError for what is no mapping."""
        try:
            table = tomllib.loads(data.decode("utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise refusal(
                f"대응표가 TOML이 아닙니다: {error}. docs/billing.md의 보기를 보세요.",
                f"the mapping is not TOML: {error}; docs/billing.md has an example",
            ) from None
        try:
            classes = {_CLASSES.get(name, name): value for name, value in table.pop("classes", {}).items()}
            table["per"] = Decimal(str(classes.pop("per", table.pop("per", 1))))
            _check_names(table | classes)
            made = cls(**table, **classes)
            made.check()
        except (TypeError, AttributeError, InvalidOperation):
            raise refusal(
                "대응표의 값이 잘못되었습니다. quantities와 classes는 표, per는 숫자, 나머지는 글자입니다."
                " docs/billing.md의 보기를 보세요.",
                "a value of the mapping is wrong: quantities and classes are tables, per is a number,"
                " the rest is text; docs/billing.md has an example",
            ) from None
        return made

    def check(self) -> None:
        stated = (self.cost, self.class_quantity, *self.quantities)
        named = {*self.quantities.values(), *self.class_names.values()}
        unknown = sorted(named - set(ALL_BUCKETS))
        if unknown or not any(stated) or not (self.model or self.model_is):
            what = f"모르는 항목: {', '.join(unknown)}. " if unknown else ""
            raise refusal(
                f"대응표에 model(또는 model_is)과, cost나 quantities나 classes가 있어야 합니다. {what}"
                f"쓸 수 있는 항목: {', '.join(ALL_BUCKETS)}",
                "a mapping needs model or model_is, and cost, quantities or classes; "
                f"buckets are {', '.join(ALL_BUCKETS)}",
            )

    def layout(self) -> Layout:
        named = (self.model, self.key, self.cost, self.class_column, self.class_quantity, *self.quantities)
        return Layout(
            "mapping",
            self.timezone,
            exact=self.exact,
            days=(name_of(self.day),),
            needs=tuple((name_of(column),) for column in named if column),
            parts=self._parts,
            states=frozenset({*self.quantities.values(), *self.class_names.values()}),
            day_format=self.day_format,
        )

    def _parts(self, cells: Cells, _: str) -> Iterator[Part]:
        def cell(column: str) -> str:
            return cells.get(name_of(column), "") if column else ""

        model, key = self.model_is or cell(self.model), cell(self.key)
        money = cell(self.currency_column) or self.currency
        bucket = COST
        if self.class_column:
            said = cell(self.class_column)
            bucket = self.class_names.get(said, "")
            if not bucket:
                raise Wrong(
                    f"대응표에 없는 구분입니다: {said[:30]}", f"not in the mapping's classes: {said[:30]}"
                )
            yield Part(model, bucket, cell(self.class_quantity), cell(self.cost), money, key, self.per)
            return
        for column, its_bucket in self.quantities.items():
            yield Part(model, its_bucket, cell(column), key=key, currency=money, per=self.per)
        if self.cost:
            yield Part(model, bucket, None, cell(self.cost), money, key)


_CLASSES: Final = {"column": "class_column", "quantity": "class_quantity", "names": "class_names"}
_NAMES: Final = frozenset(one.name for one in fields(ColumnMap))
_NEEDED: Final = ("timezone", "day")


def _check_names(table: Mapping[str, object]) -> None:
    """Name what a mapping has and should not, or should have."""
    unknown = ", ".join(sorted(table.keys() - _NAMES))
    missing = ", ".join(name for name in _NEEDED if not table.get(name))
    if unknown or missing:
        written = ", ".join(sorted(_NAMES - set(_CLASSES.values()) | {"classes"}))
        korean = f"모르는 항목: {unknown}. " * bool(unknown) + f"빠진 항목: {missing}. " * bool(missing)
        english = f"unknown: {unknown}; " * bool(unknown) + f"missing: {missing}; " * bool(missing)
        raise refusal(
            f"대응표(TOML)가 잘못되었습니다. {korean}쓸 수 있는 항목: {written}."
            " docs/billing.md의 보기를 보세요.",
            f"the mapping is wrong; {english}it may have {written}; docs/billing.md has an example",
        )
