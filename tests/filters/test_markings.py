"""A marking marks its text; a sentence about markings does not."""

from __future__ import annotations

import pytest

from filters import spans

MARKED = {
    "[대외비] 2026년 조직개편(안)": "대외비",
    "대외비": "대외비",
    "대 외 비": "대외비",
    "Ⅲ급 비밀\n본문입니다": "급비밀",
    "3급비밀": "급비밀",
    "등급: 비밀": "급비밀",
    "보안등급: 대외비": "대외비",
    "문서등급 : [■ 대외비]": "대외비",
    "이 문서는 대외비입니다. 요약해줘": "대외비",
    "이건 대외비니까 조심해서 요약해줘": "대외비",
    "CONFIDENTIAL": "대외비",
    "공개여부: 비공개(제5호)": "비공개",
    "본 자료는 비공개 자료이므로 외부에 알리지 마세요": "비공개",
    "***비공개***": "비공개",
    "(내부검토용)": "내부검토용",
    "※ 내부검토용 ※": "내부검토용",
    "첨부 자료는 내부검토용입니다": "내부검토용",
    "결재 전 문서": "결재전",
    "다음은 결재 전인 초안이다": "결재전",
    "2025 예산 편성(안) (대외비)": "대외비",
    "대외비 - 조직개편 검토": "대외비",
    "＜대외비＞": "대외비",
    "대\u200b외\u200b비": "대외비",
}
MENTIONED = [
    "대외비 문서의 관리 지침을 개정",
    "대외비와 비공개의 차이가 뭐야?",
    "비공개 회의를 진행한다",
    "공개여부(공개, 비공개)를 표시",
    "Ⅱ급 비밀의 취급 절차",
    "비밀번호를 변경",
    "보안업무규정상 Ⅰ급 비밀, Ⅱ급 비밀, Ⅲ급 비밀의 차이를 설명해줘",
    "비공개 대상 정보에 해당하는지 검토",
    "결재 전 검토해야 할 사항을 알려줘",
    "통신의 비밀을 침해받지 아니한다",
    "대외비란 무엇인가요?",
    "정보공개 청구에 대해 비공개 결정을 통지하는 문서를 써줘",
    "confidential computing 기술 설명",
    "비밀 유지 서약서 양식",
    "이 회의는 비공개로 진행되었다",
]


@pytest.mark.parametrize("text", MARKED)
def test_a_marking_is_found_and_named(engine, text):
    labels = [span.label for span in engine.detect(text) if span.type == spans.SECURITY_MARKING]
    assert labels == [MARKED[text]]


@pytest.mark.parametrize("text", MENTIONED)
def test_talking_about_markings_is_not_marked(engine, text):
    assert not [span for span in engine.detect(text) if span.type == spans.SECURITY_MARKING]
