"""Names of people: what an office writes, what only looks like a name, and the scorer's own rules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.detector import DetectorError
from filters.detectors import names
from filters.detectors.names import THRESHOLD_IF_REPEATED, WORTH_A_LOOK_AROUND, _scored, _weights
from filters.detectors.person_features import INNER, OUTER, SURNAME_ALONE, candidates_at, cut, inner, outer
from filters.spans import PERSON


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in names.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("홍길동님 안녕하세요.", ["홍길동"]),
        ("김민준이고 마흔두 살입니다.", ["김민준"]),
        ("총무과 김서연 주무관이 회의록을 작성했습니다.", ["김서연"]),
        ("과장 이도현, 팀장 최은경, 주무관 박영호", ["이도현", "최은경", "박영호"]),
        ("지원 대상은 이수진, 박영호, 최은경 3명입니다.", ["이수진", "박영호", "최은경"]),
        ("이수진·박영호·최은경에게 표창을 수여함", ["이수진", "박영호", "최은경"]),
        ("민원인 남궁민수 씨가 제출한 서류", ["남궁민수"]),
        ("신청인 선우은숙(인)", ["선우은숙"]),
        ("김지훈에게서 온 메일, 김지훈한테 답장", ["김지훈", "김지훈"]),
        ("홍길동께서 말씀하셨다. 홍길동 선생님께 감사드린다.", ["홍길동", "홍길동"]),
        ("담당자 이름은 정다운입니다", ["정다운"]),
        ("성명: 육동한", ["육동한"]),
        ("성 명 : 홍 길 동", ["홍 길 동"]),
        ("환자 한송이(여, 34세) 진료기록", ["한송이"]),
        ("마이클 존슨 교수 초청 강연", ["마이클 존슨"]),
        ("보호자: 응우옌 티 흐엉", ["응우옌 티 흐엉"]),
        ("김 대리, 박 과장 회의 참석", ["김", "박"]),
        ("박주무관님, 이팀장이 지시한 내용입니다", ["박", "이"]),
        ('"김서연"이라는 이름으로 접수됨', ["김서연"]),
        ("이름:박서준/연락처:없음", ["박서준"]),
        ("참조: 김철수; 이영희; 박민수", ["김철수", "이영희", "박민수"]),
        ("김철수(총무과), 이영희(재무과)", ["김철수", "이영희"]),
        ("민원인(전지현)이 재차 방문", ["전지현"]),
        ("예지 씨는 재국씨가 누구인지 모른다", ["예지", "재국"]),
        ("베트남 국적의 쩐 반 남 씨", ["쩐 반 남"]),
        ("최모(41)씨는 혐의를 부인했다.", ["최"]),
        ("A씨와 B(30·여)씨는 부부다.", ["A", "B"]),
        ("담당자: Kim Min-jun (김민준)", ["Kim Min-jun", "김민준"]),
        ("Mr. David Brown from the embassy", ["David Brown"]),
        ("Dear John Smith,", ["John Smith"]),
        ("My name is Maria Garcia.", ["Maria Garcia"]),
        ("이도현 주무관(李道賢)은", ["이도현"]),
        ("이도현(李道賢) 주무관은", ["이도현", "李道賢"]),
    ],
)
def test_a_name_is_found_with_its_exact_extent(text: str, expected: list[str]):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "안전총괄과와 정보기획과가 공동으로 추진합니다.",
        "예산 편성 지침에 따라 정기 점검을 실시합니다.",
        "이번 회의는 정보화담당관실에서 주관합니다.",
        "주차 위반 과태료 이의신청서 양식을 만들어줘",
        "민원 처리 기한은 며칠인가요? 신청인과 대리인의 제출 서류는?",
        "신한은행 이체 내역 확인, 국민은행 계좌 개설",
        "강남구 서초구 은평구 성북구 도봉구 노원구",
        "조기 집행 현황과 전년 대비 증감을 정리해 줘",
        "사장님, 고객님, 선생님, 원장님, 주무관님께 안내드립니다.",
        "직무역량 함양과 위반 유형 분석, 협력 도모",
        "안녕하세요? 문의드립니다. 감사합니다.",
        "임기제 공무원 채용 공정성과 전문성 확보",
        "우리 부서 하반기 업무 계획을 세워줘",
        "국장 과장 팀장 주무관 전결 사항",
        "홍길동전을 요약해 줘. 심청전과 춘향전의 차이는?",
        "아저씨와 아가씨의 말씀, 날씨와 글씨",
        "기온 강수량 황사 미세먼지 주의보",
        "고려대학교 연세대학교 성균관대학교 업무 협약",
        "왕십리뉴타운 정비구역 지정 고시, 오류동 온수동 궁동",
        "천호대로 교통 통제, 국회대로 지하화",
        "국민권익위원회 고충민원 회신, 공인중개사 명부",
        "공사 기간 연장 사유서와 정산서 제출",
        "Visual Studio Code and Google Cloud for the Ministry",
    ],
)
def test_an_honest_sentence_without_a_name_is_left_alone(text: str):
    assert found(text) == []


def test_a_name_that_is_sure_once_counts_everywhere():
    text = "과장 위성미가 결재했다. 그날 회의에 위성미 참석."
    assert found(text).count("위성미") == 2


def test_a_form_label_makes_an_unlisted_name_a_name():
    assert found("예금주: 옥상철") == ["옥상철"]


def test_a_title_next_to_a_common_word_does_not_make_it_a_name():
    assert found("담당 과장과 소관 국장이 협의") == []


@given(
    st.lists(
        st.sampled_from(
            ["김민준", "이 ", "과장", "님", "A씨", "(", "톰 ", "성명:", "\n", "는", "1", "é", "홍 길 동", " "]
        )
    )
)
def test_spans_are_sorted_disjoint_and_inside_the_text(pieces: list[str]):
    text = "".join(pieces)
    spans = names.find(text)
    assert all(span.type == PERSON and 0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@settings(max_examples=200)
@given(
    st.text(alphabet=st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), max_size=30)
    | st.text(max_size=40)
)
def test_any_text_is_read_without_an_error(text: str):
    names.find(text)


SENTENCES = (
    "총무과 김서연 주무관은 박 과장에게 톰 행크스 감독의 방문을 보고했다. 김모(33)씨도 왔다.",
    "치프라스 총리와 올랑드 대통령, 브래드피트가 홍 길동을 만났다. 남궁민수씨는 유해진진짜 좋아한다.",
    "메르켈은 지난 1월 이명박 전 대통령에게 편지를 보냈고 이상은 이상무 팀장이 맡는다.",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_the_fast_sum_is_the_sum_of_the_features(text: str):
    weights, runs = _weights(), cut(text)
    candidates = [c for index in range(len(runs.words)) for c in candidates_at(runs, index)]
    assert candidates
    for candidate in candidates:
        own = zip(INNER, inner(candidate, runs), strict=True)
        around = zip(OUTER, outer(candidate, runs), strict=True)
        assert weights.of(candidate, runs) == pytest.approx(weights.bias + total(weights.tables, own))
        context = weights.around(runs, candidate.first, candidate.last, candidate.shape, candidate.suffix[0])
        assert context == pytest.approx(total(weights.tables, around))


def total(tables, keys) -> float:
    return sum(tables[template].get(key, 0.0) for template, key in keys)


@pytest.mark.parametrize("text", SENTENCES)
def test_running_looks_at_every_candidate_that_training_saw_and_could_accept(text: str):
    weights, runs = _weights(), cut(text)
    fast = {(scored.start, scored.end) for scored in _scored(runs)}
    for index in range(len(runs.words)):
        for c in candidates_at(runs, index):
            own = weights.of(c, runs)
            score = own + weights.around(runs, c.first, c.last, c.shape, c.suffix[0])
            promising = own > WORTH_A_LOOK_AROUND or c.shape == SURNAME_ALONE
            assert (c.start, c.end) in fast or not promising or score <= THRESHOLD_IF_REPEATED


def test_a_text_of_nothing_but_names_is_refused_before_it_costs_seconds():
    with pytest.raises(DetectorError, match="TooMany"):
        names.find("마이클 " * 100_000)
