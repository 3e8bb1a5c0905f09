"""What haechi.toml says about the review of incidents, as the review takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.incidents.states import SEVERITIES, ReviewRules

if TYPE_CHECKING:
    from gateway.config_schema import ReviewTable


def review_rules(table: ReviewTable) -> ReviewRules:
    shipped = ReviewRules()
    flagged = shipped.flag_types if table.flag_types is None else frozenset(table.flag_types)
    days = table.sla_days.model_dump()
    return ReviewRules(
        store_text=table.store_text,
        text_days=table.text_days,
        text_most_characters=table.text_most_characters,
        flag_types=flagged,
        flag_findings=table.flag_findings,
        sla_days={SEVERITIES[word]: days[word] for word in SEVERITIES},
        reveal_minutes=table.reveal_minutes,
        two_person_text=table.two_person_text,
        own_incident=table.own_incident,
        own_department=table.own_department,
        exception_days_most=table.exception_days_most,
        cipher=table.cipher,
    )
