import json
from pathlib import Path

import pytest

LINES = [
    {"id": "a", "text": "주민등록번호는 901010-1234567입니다."},
    {"id": "b", "text": "내년도 예산 편성 방향을 정리해 주세요."},
    {"id": "c", "text": "담당자 연락처는 010-1234-5678입니다."},
    {"id": "d", "messages": [{"role": "user", "content": "문의: hong@korea.example"}]},
]


def scanned(haechi, lines, *arguments):
    stdin = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    ran = haechi("scan", "--jsonl", *arguments, stdin=stdin)
    return ran, [json.loads(line) for line in ran.out.splitlines()]


def test_each_line_gets_its_verdict_spans_and_masked_form(haechi):
    ran, found = scanned(haechi, LINES)
    assert ran.code == 0
    assert [row["id"] for row in found] == ["a", "b", "c", "d"]
    assert [row["verdict"] for row in found] == ["block", "allow", "mask", "mask"]
    span = found[0]["spans"][0]
    assert LINES[0]["text"][span["start"] : span["end"]] == "901010-1234567"
    assert (span["type"], span["action"]) == ("KR_RRN", "block")
    assert found[1]["spans"] == []
    assert "010-1234-5678" not in found[2]["masked"]
    assert found[3]["spans"][0]["path"] == "messages[0].content"
    assert "hong@" not in json.dumps(found[3]["masked"])


def test_a_line_that_is_no_such_object_is_named_and_the_others_are_scanned(haechi):
    stdin = b'nonsense 901010-1234567\n\n[1]\n{"id": 1}\n' + json.dumps(LINES[1]).encode() + b"\n"
    ran = haechi("scan", "--jsonl", stdin=stdin)
    assert ran.code == 4
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == ["b"]
    for number in (1, 3, 4):
        assert f"line {number}:" in ran.err
    assert "901010" not in ran.err


def test_the_institutions_own_policy_is_used_when_its_config_is_given(installed, haechi):
    config = Path("haechi.toml")
    policy = '[[filter.policies]]\nversion = "ours"\neffective_from = 2026-02-01\n[filter.policies.external.types]\nPHONE_NUMBER = "block"\n'
    config.write_text(config.read_text() + policy)
    assert scanned(haechi, LINES[2:3], "--config", config)[1][0]["verdict"] == "block"
    assert scanned(haechi, LINES[2:3])[1][0]["verdict"] == "mask"


def test_the_institutions_own_rules_are_used_too(installed, haechi):
    config = Path("haechi.toml")
    rule = '[[filter.rules]]\nname = "staff"\ntype = "EMPLOYEE_NUMBER"\npatterns = ["S26[0-9]{4}"]\nexamples = ["S260001"]\n'
    config.write_text(config.read_text() + rule)
    line = {"id": "e", "text": "직원 S260001의 휴가를 정리해 주세요."}
    (found,) = scanned(haechi, [line], "--config", config)[1]
    assert [(span["type"], span["action"]) for span in found["spans"]] == [("EMPLOYEE_NUMBER", "mask")]
    assert scanned(haechi, [line])[1][0]["verdict"] == "allow"


def test_scan_without_a_format_says_so(haechi):
    assert haechi("scan").code == 2


def test_evaluation_reports_figures_per_type(haechi):
    rows = [
        {"text": "연락처 010-1234-5678, 김민준 주무관", "pii": [{"type": "PHONE", "text": "010-1234-5678"}]},
        {"text": "메일은 lee@seoul.example 입니다", "pii": [{"type": "EMAIL", "text": "lee@seoul.example"}]},
    ]
    Path("data.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    report = haechi("filter", "eval", "data.jsonl", "--json").ok().json
    by_type = {row["type"]: row for row in report["types"]}
    assert report["documents"] == 2
    assert by_type["PHONE_NUMBER"]["exact_f1"] == by_type["EMAIL_ADDRESS"]["exact_f1"] == 1.0
    assert "PHONE_NUMBER" in haechi("filter", "eval", "data.jsonl").ok().out


def test_news_and_reviews_are_measured_apart_and_together(haechi):
    tagged = {
        "x-wikitree": [(letter, "B-PS" if at == 0 else "I-PS") for at, letter in enumerate("김민준")]
        + [(" ", "O")],
        "x-nsmc": [(letter, "O") for letter in "재미있어요"],
    }
    blocks = (
        f"## {name}\t문장\n" + "".join(f"{letter}\t{tag}\n" for letter, tag in letters)
        for name, letters in tagged.items()
    )
    Path("klue.tsv").write_text("\n".join(blocks))
    report = haechi("filter", "eval", "klue.tsv", "--json").ok().json
    assert report["documents"] == 2
    assert {name: one["documents"] for name, one in report["sources"].items()} == {
        "klue-news": 1,
        "klue-reviews": 1,
    }
    shown = haechi("filter", "eval", "klue.tsv").ok().out
    assert "klue-news" in shown
    assert "klue-reviews" in shown


@pytest.mark.parametrize("content", ["not json\n", '{"text": "x"}\n', ""])
def test_data_that_cannot_be_read_is_said(haechi, content):
    Path("data.txt").write_text(content)
    assert haechi("filter", "eval", "data.txt").code == 4
    Path("data.jsonl").write_text(content)
    assert haechi("filter", "eval", "data.jsonl").code == (4 if content else 0)
