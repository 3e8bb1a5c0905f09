"""Credentials are found by vendor, by form and by the Korean word before them; talk about them is not."""

from __future__ import annotations

import pytest

from filters import spans

_A = "abcdefghij0123456789ABCDEFGHIJ0123456789abcdefghij0123456789ABCDEFGHIJ01234567890123456789"
SECRETS = {
    "AKIAIOSFODNN7EXAMPLE": "aws",
    "ghp_" + _A[:36]: "github",
    "github_pat_" + _A[:60]: "github",
    "glpat-" + _A[:20]: "gitlab",
    "AIza" + _A[:35]: "google",
    "sk-ant-api03-" + _A[:40]: "anthropic",
    "sk-proj-" + _A[:48]: "openai",
    "hf_" + _A[:34]: "huggingface",
    "gsk_" + _A[:52]: "groq",
    "xoxb-123456789012-" + _A[:24]: "slack",
    "sk_live_" + _A[:24]: "stripe",
    "SG." + _A[:22] + "." + _A[:43]: "sendgrid",
    "npm_" + _A[:36]: "npm",
    "dckr_pat_" + _A[:27]: "docker",
    "123456789:AA" + _A[:33]: "telegram",
    "lin_api_" + _A[:40]: "linear",
    "hvs." + _A[:24]: "hashicorp",
    "KakaoAK " + "0123456789abcdef" * 2: "kakao",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + _A[:43]: "jwt",
    "jdbc:oracle:thin:scott/tiger@10.1.1.1:1521:orcl": "connection",
    "postgresql://app:s3cret@db.internal:5432/prod": "connection",
    "serviceKey=aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW": "key",
    "인증키는 aB3dE5fG7hI9jK1lM3nO5pQ7": "key",
    "인증키(Encoding) abcDEF123ghiJKL456mno789%2Bpqr": "key",
    "client_secret: 'Zx81qpLm02Kd93Vb'": "key",
    "Authorization: Bearer 0a1b2c3d4e5f6a7b8c9d": "key",
    "비밀번호는 qwer1234!입니다": "password",
    "비번: 1234abcd": "password",
    "패스워드 = P@ssw0rd": "password",
    "임시 비밀번호는 hello2024!!이니 바꾸세요": "password",
    "PW: hunter2": "password",
    "my password is S3cure!Pass": "password",
    "비밀번호 4자리는 7392입니다": "password",
    "CI값은 " + "A1b2" * 21 + "cd==": "ci",
}
HARMLESS = [
    "비밀번호는 8자리 이상으로 정하세요", "비밀번호 10자리 이상 설정", "암호는 AES-256을 사용", "비밀번호 변경 절차", "비밀번호는 2025년에 바꿈",
    "password = os.environ['DB']", "password: str", "비밀번호 변경은 https://www.seoul.go.kr 에서", "비밀번호: ********", "API 키를 발급받는 방법",
    "토큰 수는 12000개", "max_tokens=4096", "키 178cm", "sk-learn 사용법", "token limit is 128000 tokens", "비밀번호 찾기 2단계",
    "key = value", "jdbc 드라이버", "primary_key=True", "https://www.seoul.go.kr/board/view?key=12",
]  # fmt: skip


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_found_and_named(engine, text):
    labels = [span.label for span in engine.detect(f"설정값 {text}") if span.type == spans.SECRET]
    assert labels == [SECRETS[text]]


@pytest.mark.parametrize("text", HARMLESS)
def test_talk_about_secrets_is_left_alone(engine, text):
    assert not [span for span in engine.detect(text) if span.type == spans.SECRET]


def test_a_key_in_an_address_ends_at_the_next_parameter(engine):
    text = "http://apis.data.go.kr/a?serviceKey=jQ8%2BkZ3xY7wV1uT5sR9qP2oN6%3D&returnType=json"
    assert [text[span.start : span.end] for span in engine.detect(text)] == ["jQ8%2BkZ3xY7wV1uT5sR9qP2oN6%3D"]


@pytest.mark.parametrize("kind", ["RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED "])
def test_a_private_key_is_covered_to_its_end(engine, kind):
    key = f"-----BEGIN {kind}PRIVATE KEY-----\n" + "MIIEvQIBADANBg\n" * 8 + f"-----END {kind}PRIVATE KEY-----"
    text = f"키 파일:\n{key}\n이걸 설명해줘"
    span = next(span for span in engine.detect(text) if span.type == spans.SECRET)
    assert text[span.start : span.end] == key


def test_a_private_key_cut_off_is_covered_as_far_as_it_goes(engine):
    text = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg"
    assert [(span.start, span.end) for span in engine.detect(text)] == [(0, len(text))]
