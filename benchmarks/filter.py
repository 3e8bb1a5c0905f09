"""How fast the sensitive-data filter is, and what it adds to a process: one core, nothing warmed but itself.

    python -m benchmarks.filter [DATA.jsonl]

Prints milliseconds per KB of UTF-8 (p50, p99) on documents of about 1 KB, the time for 100 KB and 1 MB of
honest text, what scanning and restoring add to the first piece of a streamed answer, the slowest of the
hostile strings, each 1 MB, and the resident memory added. DATA is a file of labelled documents; without it
the documents are built from the sentences below.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filters.detector import DetectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from filters.engine import Engine

KB: Final = 1024
SENTENCES: Final = """
총무과 {name} 주무관은 하반기 예산 편성 지침에 따라 부서별 요구액을 수요일까지 제출하도록 안내하였습니다.
민원인 {name}({rrn})은 {address}에 거주하며 연락처는 {phone}입니다.
2026년 3월 12일 접수된 이의신청서를 검토한 결과 처분에 위법한 사유가 없어 기각하고자 합니다.
사업비 1,250,000천원 중 국비 50%, 시비 50%로 재원을 분담하고 집행 잔액은 연말에 반납한다.
문의: 정보화담당관 {name} (02-2133-{four}, {mail})
회의는 14:00부터 15:30까지 본관 3층 대회의실에서 열리며 참석 대상은 과장급 이상 12명입니다.
계약번호 20260312-00451, 문서번호 총무과-3391(2026. 3. 2.)호와 관련입니다.
첨부한 표를 바탕으로 연령대별 이용률을 요약하고, 전년 대비 증감 이유를 두 문장으로 써 주세요.
지방자치법 제28조 및 같은 법 시행령 제15조에 따라 조례를 개정하고자 한다.
수급자 {name} 님의 계좌는 국민은행 {account}이며 생계급여는 매월 20일에 지급됩니다.
""".strip().splitlines()
NAMES: Final = "김서연 박지훈 이도현 최수빈 정하늘 강민재 조은비 윤태호 장미경 임재범 한소희 오영수".split()
UNITS: Final = (
    *("1", "12-", "9012 ", "010-1234-5678 ", "900101-", "1.", "1,", "１", "a@", "a.", "1.1.1.1.", "(", "["),
    *("홍", "김", "김민준", "이상", "김씨", "A씨", "성명:", "성 명 : 홍 길 동 ", "로 1", "동 1", "서울시 "),
    *("서울특별시 강남구 ", "테헤란로 1길 ", "톰 ", "마이클 ", "Mr. A", "Dear Aa", "%41", "&#65;", "\\u0041"),
    *("\u200b", "가\u0301", "sk-", "비밀번호는 ", "일이삼사", "대외비 ", "A동 1호 ", "하하하", "x"),
)
HOSTILE_LIMIT_MS: Final = 400.0
PIECE: Final = 4
"""Characters of a piece of an answer, about a token of Korean."""


def main(data: Path | None) -> None:
    before = resident_mb()
    from filters.engine import Engine

    engine = Engine()
    engine.detect("총무과 김서연 주무관 010-1234-5678")
    added = resident_mb() - before
    documents = list(_from_file(data) if data else _from_sentences(400))
    print(f"documents                {len(documents)}, {sum(map(_bytes, documents)) / KB:,.0f} KB")
    per_kb = sorted(best_ms(engine.detect, text, 5) / (_bytes(text) / KB) for text in documents)
    print(f"per KB                   p50 {quantile(per_kb, 0.5):.3f} ms, p99 {quantile(per_kb, 0.99):.3f} ms")
    for label, size in (("100 KB", 100 * KB), ("1 MB", KB * KB)):
        text = _joined(documents, size)
        runs = sorted(best_ms(engine.detect, text, 1) for _ in range(10 if size < KB * KB else 3))
        print(f"{label:24} p50 {quantile(runs, 0.5):.1f} ms, worst {runs[-1]:.1f} ms")
    _print_first_pieces(engine, documents)
    _print_hostile(engine.detect)
    print(
        f"resident memory added    {added:.0f} MB with the engine ready, {resident_mb() - before:.0f} MB now"
    )


def _print_first_pieces(engine: Engine, documents: Sequence[str]) -> None:
    """Stream each document's masked text back as its answer; time the filter until something comes out."""
    from filters.decision import decide
    from filters.inspector import Inspector
    from filters.policy import EXTERNAL, default_policy
    from filters.streaming import AnswerFilter

    policy, inspector = default_policy().zones[EXTERNAL], Inspector(engine)
    times, held = [], 0
    for text in documents:
        verdict = decide(inspector.detect(text), policy)
        answer = str(verdict.body)
        channel, start = AnswerFilter(verdict, engine), time.perf_counter()
        fed = 0
        while not channel.feed(answer[fed : fed + PIECE]) and fed < len(answer):
            fed += PIECE
        times.append((time.perf_counter() - start) * 1e3)
        held += fed > 0
    times.sort()
    print(
        f"first piece of an answer p50 {quantile(times, 0.5):.3f} ms, p99 {quantile(times, 0.99):.3f} ms; "
        f"{held} of {len(times)} waited for a second piece of {PIECE} characters"
    )


def _print_hostile(detect: Callable[[str], object]) -> None:
    refused = []
    times = []
    for unit in UNITS:
        start = time.perf_counter()
        try:
            detect(unit * (KB * KB // _bytes(unit)))
        except DetectorError:
            refused.append(unit)
        times.append(((time.perf_counter() - start) * 1e3, unit))
    over = [unit for ms, unit in times if ms > HOSTILE_LIMIT_MS and unit not in refused]
    print(
        f"{len(UNITS)} hostile strings, 1 MB  {len(over)} answered later than {HOSTILE_LIMIT_MS:.0f} ms, "
        f"{len(refused)} refused; slowest: "
        + ", ".join(f"{unit!r} {ms:.0f} ms" for ms, unit in sorted(times, reverse=True)[:5])
    )


def best_ms(call: Callable[[str], object], text: str, repeats: int) -> float:
    """The least time of several runs: what the work costs when nothing else has the core."""
    least = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call(text)
        least = min(least, time.perf_counter() - start)
    return least * 1e3


def quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def _from_file(path: Path) -> Iterator[str]:
    from filters.evaluate import read

    return (document.text for document in read(path))


def _from_sentences(count: int) -> Iterator[str]:
    order = random.Random(5)
    for _ in range(count):
        yield "\n".join(_filled(order.choice(SENTENCES), order) for _ in range(7))


def _filled(sentence: str, order: random.Random) -> str:
    digits = [str(order.randrange(10)) for _ in range(12)]
    return sentence.format(
        name=order.choice(NAMES),
        rrn=f"9{digits[0]}0{order.randrange(1, 10)}1{digits[1]}-2{''.join(digits[2:8])}",
        address=f"서울특별시 은평구 통일로 {order.randrange(1, 999)}, 10{digits[1]}동 {digits[0]}01호",
        phone=f"010-{''.join(digits[:4])}-{''.join(digits[4:8])}",
        four="".join(digits[8:12]),
        mail=f"user{digits[0]}{digits[1]}@example.go.kr",
        account=f"{''.join(digits[:6])}-04-{''.join(digits[6:12])}",
    )


def _joined(documents: list[str], size: int) -> str:
    parts: list[str] = []
    length = index = 0
    while length < size:
        parts.append(documents[index % len(documents)])
        length += _bytes(parts[-1]) + 1
        index += 1
    return "\n".join(parts)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
