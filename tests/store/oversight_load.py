"""Fills a database with as many receipts and incidents as an institution has after some years, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
FINDINGS = (
    '[{"path":"messages[0].content","type":"PERSON","label":"","score":0.9,"rule":"person_title",'
    '"action":"mask","value_hash":"' + "a" * 32 + '"}]'
)


def fill(engine: Engine, *, receipts: int, incidents: int, last_us: int, days: int) -> None:
    """Spread rows over `days` before `last_us`: every tenth receipt has a finding."""
    step = days * 86_400 * 10**6 // receipts
    with engine.begin() as connection:
        connection.execute(
            text(
                f"""INSERT INTO receipt SELECT 'r' || i, :last - i * :step, '2026-11', 'D' || (i % 120), '["SEOUL"]',
                'S' || (i % 5000), 'k', 'gpt', 'chat', CASE i % 50 WHEN 0 THEN 'block' WHEN 10 THEN 'mask'
                WHEN 20 THEN 'mask' ELSE 'allow' END, 'rules', 'haechi-default-2026.11', 'O', 2, 900, '[]',
                '{{}}', CASE WHEN i % 10 = 0 THEN :findings ELSE '[]' END, 'k1', 0, 100,
                CASE i % 50 WHEN 0 THEN 0 ELSE 1 END, 'external', 0 FROM ({NUMBERS} SELECT i FROM n)"""
            ),
            {"count": receipts, "step": step, "last": last_us, "findings": FINDINGS},
        )
        step = days * 86_400 * 10**6 // incidents
        connection.execute(
            text(
                f"""INSERT INTO incident SELECT 'r' || i, :last - i * :step, 'filter', 'block', 1 + i % 4,
                'D' || (i % 120), '["SEOUL"]', 'S' || (i % 5000), 'k', 'gpt', 'chat', 'external', 'S', 'rules',
                'haechi-default-2026.11', '[]', '{{}}', 3, CASE WHEN i % 10 < 8 THEN 'resolved' ELSE 'new' END,
                CASE WHEN i % 10 < 2 THEN 'false_positive' WHEN i % 10 < 8 THEN 'true_positive' END, NULL, 1,
                :last - i * :step + 86400000000, :last - i * :step,
                CASE WHEN i % 10 < 8 THEN :last - i * :step + (i % 1000) * 100000000 END, NULL, NULL
                FROM ({NUMBERS} SELECT i FROM n)"""
            ),
            {"count": incidents, "step": step, "last": last_us},
        )
        connection.execute(
            text(
                f"""INSERT INTO incident_finding SELECT 'r' || (i / 3), i % 3, :last - (i / 3) * :step,
                'TYPE' || (i % 20), '', 'rule' || (i % 40), 'block', 'h' || (i % 60000), 'k1', 'messages[0].content',
                900, 1 FROM ({NUMBERS} SELECT i FROM n)"""
            ),
            {"count": 3 * incidents, "step": step, "last": last_us},
        )
        connection.exec_driver_sql("ANALYZE")
