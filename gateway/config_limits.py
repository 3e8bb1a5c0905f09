"""`[budgets]` and `[rate_limits]` of haechi.toml as values: whom to ask about a budget, what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from billing.budgets import ScopeKind
from gateway.domain import NOTHING
from gateway.limits.rules import Per, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.budgets import Scope
    from gateway.config_mistakes import Mistakes
    from gateway.config_schema import BudgetsTable, RateLimitsTable, RateRuleTable
    from gateway.domain import Caller
    from gateway.toml_lines import KeyPath

VALKEY_SCHEMES = ("valkey://", "valkeys://", "redis://", "rediss://")


@dataclass(frozen=True, slots=True)
class Contacts:
    """Whom to ask when a budget is used up: of a unit, else of the nearest unit above, else of all."""

    everybody: str = ""
    of_units: Mapping[str, str] = NOTHING

    def of(self, scope: Scope, caller: Caller) -> str:
        path = caller.unit_path
        if scope.kind == ScopeKind.UNIT and scope.id in path:
            path = path[: path.index(scope.id) + 1]
        return next((self.of_units[unit] for unit in reversed(path) if unit in self.of_units), self.everybody)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Without rules nothing is counted; without Valkey the workers count in the database."""

    rules: tuple[Rule, ...] = ()
    valkey_url: str | None = field(default=None, repr=False)


def contacts_of(table: BudgetsTable) -> Contacts:
    return Contacts(table.contact, MappingProxyType(table.contacts))


def rate_limits_of(
    table: RateLimitsTable, variable: Callable[[str | None, KeyPath], str | None], mistakes: Mistakes
) -> RateLimits:
    """Read the rules; `variable` gives an environment variable or adds the mistake that it is empty."""
    names: set[str] = set()
    for index, rule in enumerate(table.rules):
        path: KeyPath = ("rate_limits", "rules", index)
        if not (rule.requests_per_min or rule.tokens_per_min):
            mistakes.add(
                path,
                "requests_per_min이나 tokens_per_min을 정하세요.",
                "Give requests_per_min or tokens_per_min.",
            )
        if rule.name.startswith("@"):
            mistakes.add(path, "이름은 @로 시작할 수 없습니다.", "A name cannot begin with @.")
        if rule.name in names:
            mistakes.add(path, f"'{rule.name}'이(가) 두 번 나옵니다.", f"'{rule.name}' stands there twice.")
        names.add(rule.name)
    path = ("rate_limits", "valkey_url_env")
    url = table.valkey_url or variable(table.valkey_url_env, path)
    if table.valkey_url is not None and "@" in table.valkey_url:
        mistakes.add(
            ("rate_limits", "valkey_url"),
            "비밀번호는 파일에 둘 수 없습니다. valkey_url_env로 환경 변수를 지정하세요.",
            "A password does not stand in this file. Name an environment variable with valkey_url_env.",
        )
    if url is not None and not url.startswith(VALKEY_SCHEMES):
        mistakes.add(
            path,
            "Valkey 주소는 valkey://호스트:포트/번호 형식이어야 합니다.",
            "The address of Valkey must look like valkey://host:port/0.",
        )
    return RateLimits(tuple(map(_rule, table.rules)), url)


def _rule(table: RateRuleTable) -> Rule:
    return Rule(
        name=table.name,
        per=tuple(map(Per, table.per)),
        requests_per_min=table.requests_per_min,
        tokens_per_min=table.tokens_per_min,
        keys=frozenset(table.keys),
        people=frozenset(table.people),
        departments=frozenset(table.departments),
        models=frozenset(table.models),
    )
