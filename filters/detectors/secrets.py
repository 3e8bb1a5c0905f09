"""Credentials: vendors' keys by prefix, private keys, connection strings, tokens, passwords in Korean.

Vendor prefixes are those their documentation or public secret-scanning lists state (GitHub secret
scanning partners, gitleaks, MIT). Everything is bounded so that no text takes more than linear time.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final

from filters.detector import limited
from filters.spans import SECRET, Span

_VENDORS: Final = {
    "aws": r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z2-7]{16}(?![A-Za-z0-9])",
    "github": r"gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{40,255}",
    "gitlab": r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-[A-Za-z0-9_\-]{20,64}",
    "google": r"AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-]{20,400}|GOCSPX-[A-Za-z0-9_\-]{28}",
    "anthropic": r"sk-ant-[A-Za-z0-9_\-]{20,200}",
    "openai": r"sk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_\-]{20,240}|sess-[A-Za-z0-9]{40}",
    "openrouter": r"sk-or-v1-[0-9a-f]{64}",
    "huggingface": r"(?:hf|api_org)_[A-Za-z0-9]{30,50}",
    "groq": r"gsk_[A-Za-z0-9]{40,60}",
    "xai": r"xai-[A-Za-z0-9]{60,100}",
    "perplexity": r"pplx-[A-Za-z0-9]{40,60}",
    "replicate": r"r8_[A-Za-z0-9]{37}",
    "slack": r"xox[abeoprs]-[A-Za-z0-9\-]{10,250}|xapp-[0-9]-[A-Za-z0-9\-]{20,200}"
    r"|https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{30,80}",
    "stripe": r"(?:sk|rk|whsec)_(?:live|test|prod)?_?[A-Za-z0-9]{20,247}",
    "twilio": r"(?:SK|AC)[0-9a-f]{32}(?![0-9A-Za-z])",
    "sendgrid": r"SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{32,64}",
    "mailgun": r"key-[0-9a-f]{32}(?![0-9A-Za-z])",
    "npm": r"npm_[A-Za-z0-9]{36}",
    "pypi": r"pypi-[A-Za-z0-9_\-]{50,400}",
    "docker": r"dckr_(?:pat|oat)_[A-Za-z0-9_\-]{20,60}",
    "digitalocean": r"do[opr]_v1_[0-9a-f]{64}",
    "shopify": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "square": r"sq0[a-z]{3}-[A-Za-z0-9_\-]{22,43}|EAAA[A-Za-z0-9_\-]{60}",
    "telegram": r"[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}",
    "discord": r"https://discord(?:app)?\.com/api/webhooks/[0-9]{15,22}/[A-Za-z0-9_\-]{40,90}",
    "notion": r"(?:secret|ntn)_[A-Za-z0-9]{40,60}",
    "linear": r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}",
    "atlassian": r"ATATT3[A-Za-z0-9_\-=]{60,250}",
    "databricks": r"dapi[0-9a-f]{32}(?:-[0-9])?",
    "hashicorp": r"hv[sbr]\.[A-Za-z0-9_\-]{24,250}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-=]{60,70}",
    "grafana": r"gl(?:c|sa)_[A-Za-z0-9+/_=]{32,200}",
    "newrelic": r"NR(?:AK|AL|JS|II)-[A-Za-z0-9_\-]{19,44}",
    "postman": r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "alibaba": r"LTAI[A-Za-z0-9]{12,24}(?![A-Za-z0-9])",
    "tencent": r"AKID[A-Za-z0-9]{32}(?![A-Za-z0-9])",
    "fireworks": r"fw_[A-Za-z0-9]{22,40}(?![A-Za-z0-9])",
    "cerebras": r"csk-[A-Za-z0-9]{40,60}",
    "nvidia": r"nvapi-[A-Za-z0-9_\-]{60,80}",
    "age": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    "kakao": r"KakaoAK\s[0-9a-f]{32}",
    "azure": r"(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[A-Za-z0-9+/=%]{20,200}",
    "jwt": r"eyJ[A-Za-z0-9_\-]{8,4000}\.eyJ[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]{10,1000}",
}
_FIRST: Final = "".join(sorted(set("AghsyGsrxpStwSknN[EdElLPfcveKeoa0123456789") - {"["}))
_VENDOR: Final = re.compile(
    rf"(?<![A-Za-z0-9_\-])(?=[{_FIRST}])(?:"
    + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _VENDORS.items())
    + ")"
)


_LOOKAHEAD: Final = re.compile(r"\(\?![^)]*\)")
_COUNT: Final = re.compile(r"\{([0-9]+)(?:,[0-9]*)?\}")


def _gate_of(pattern: str) -> str:
    """The beginning of a vendor's pattern, in RE2's syntax and small: it may fire too often."""
    shortened = _COUNT.sub(lambda count: f"{{{min(int(count[1]), 3)},}}", _LOOKAHEAD.sub("", pattern))
    return f"(?:{shortened})"


class VendorKeys:
    """Keys that a vendor's prefix gives away."""

    name = "vendor_keys"
    gates = tuple(_gate_of(pattern) for pattern in _VENDORS.values())

    def find(self, text: str) -> list[Span]:
        return [
            Span(*match.span(), SECRET, 0.97, f"secret_{match.lastgroup}", match.lastgroup or "")
            for match in limited(_VENDOR.finditer(text), self.name)
            if any(character.isdigit() for character in match.group())
        ]


_KEY_BEGIN: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-[0-9]:"
)
_KEY_END: Final = "-----END"
_MAX_KEY: Final = 12_000


class PrivateKeys:
    """PEM, OpenSSH, PGP and PuTTY private keys, from BEGIN to END or as far as they go."""

    name = "private_keys"
    gates = (r"PRIVATE KEY", r"PuTTY-User-Key-File")

    def find(self, text: str) -> list[Span]:
        spans: list[Span] = []
        position = 0
        while (match := _KEY_BEGIN.search(text, position)) is not None:
            position = _key_end(text, match.end())
            spans.append(Span(match.start(), position, SECRET, 0.99, "secret_private_key", "private_key"))
        return spans


def _key_end(text: str, start: int) -> int:
    end = text.find(_KEY_END, start, start + _MAX_KEY)
    if end < 0:
        return min(len(text), start + _MAX_KEY)
    line = text.find("\n", end)
    return min(len(text) if line < 0 else line, end + 60)


_VALUE: Final = r"[A-Za-z0-9!@#$%^&*+_~./=?\-]"
_URL: Final = re.compile(
    r"(?=[jpmraosfhl])(?<![A-Za-z0-9])(?:jdbc:[a-z0-9]{2,20}:[^\s\"'<>가-힣]{6,300}"
    r"|(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|oracle"
    r"|s?ftp|smb|ldaps?|https?|ssh)(?:\+[a-z0-9]{2,12})?"
    r"://[^\s:@/\"'<>]{0,64}:[^\s@/\"'<>]{1,128}@[^\s\"'<>가-힣]{2,200})"
)
_ASSIGNED: Final = re.compile(
    r"(?=[kKsStT키토시])"
    r"(?:(?i:key|secret|token|session_?id)|(?<=[가-힣Ii])키|(?<=[가-힣Ii]\s)키|토큰|시크릿)"
    r"(?:\s?\([A-Za-z]{4,10}\)(?P<kind>))?(?:\s?값)?[\"'`]?\s{0,3}(?:[:=]|=>|은|는|이|가|(?(kind)))\s{0,3}(?:Bearer\s)?[\"'`]?"
    r"(?P<value>[A-Za-z0-9+/=_\-.%!@$^*~]{12,512})"
)
"""Whatever a name ends in, `serviceKey`, `client_secret` or `인증키`, its last word is what counts."""

_BEARER: Final = re.compile(
    r"(?=[aApP])(?i:authorization|proxy-authorization)[\"']?\s?[:=]\s?[\"']?"
    r"(?:(?i:bearer|basic|token)\s+)?(?P<value>[A-Za-z0-9+/=_\-.~]{12,2000})"
)
_IDENTITY_HASH: Final = re.compile(
    r"(?=[CD연중])(?<![A-Za-z])(?:CI|DI|연계\s?정보|중복\s?가입\s?확인\s?정보)"
    r"(?:\s?\([A-Z가-힣 ]{2,12}\))?(?:\s?값)?\s?(?:[:=]|은|는)?\s?[\"']?"
    r"(?P<value>[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{62,64}={0,2})(?![A-Za-z0-9+/=])"
)


class Credentials:
    """Connection strings, `serviceKey=…`, tokens behind their name, CI and DI values."""

    name = "credentials"
    gates = (
        r"jdbc:|://[^\s:@/]*:[^\s@/]*@|(?i:key|secret|token|session_?id|authorization)[^가-힣\n]",
        r"(?:키|토큰|시크릿)(?:[^가-힣]|값|은|는|이|가)|연계\s?정보|중복\s?가입|\b(?:CI|DI)\b",
    )

    def find(self, text: str) -> list[Span]:
        urls = _URL.finditer(text) if "://" in text or "jdbc:" in text else ()
        assigned = chain(_ASSIGNED.finditer(text), _BEARER.finditer(text))
        return [
            *(
                Span(*match.span(), SECRET, 0.95, "secret_connection", "connection")
                for match in limited(urls, self.name)
            ),
            *(
                Span(*match.span("value"), SECRET, 0.9, "secret_assigned", "key")
                for match in limited(assigned, self.name)
                if _is_random(match["value"])
            ),
            *(
                Span(*match.span("value"), SECRET, 0.9, "kr_connecting_information", "ci")
                for match in limited(_IDENTITY_HASH.finditer(text), self.name)
            ),
        ]


def _is_random(value: str) -> bool:
    """Letters and digits mixed as no identifier of a program mixes them; not a path, date or number."""
    letters = sum(character.isalpha() for character in value)
    digits = sum(character.isdigit() for character in value)
    if len(set(value)) < 8 or "/" in value[:1] or "://" in value:
        return False
    return letters >= 3 and digits >= 2 and value.count(".") <= 2


_PASSWORD: Final = re.compile(
    r"(?:비밀\s?번호|비번|비 번|패스\s?워드|암호|패스\s?코드|핀\s?번호|잠금\s?번호|접속\s?번호"
    r"|(?<![A-Za-z])(?i:passw(?:or)?d|passphrase|passwd|pwd|pw|passcode))(?:\s?\((?:[^()\n]{1,12})\))?[\"'`]?"
    r"\s{0,2}(?P<tie>(?:[:=：]|=>|->|은|는|이|가|이고|(?i:is)(?=\s))\s{0,3}|\s{1,2})"
    r"(?:(?P<count>[0-9]{1,2}\s?자리(?:인|는|의)?\s?)|(?:임시|초기|기본)\s?(?:로|값)?\s?|바로\s|현재\s)?"
    r"(?P<quote>[\"'`“‘<]?)"
    rf"(?P<value>{_VALUE}{{4,64}})(?P<after>\s?[가-힣%]{{0,2}})"
)
_NO_PASSWORD: Final = re.compile(
    r"(?i)https?://.*|.*\.(?:go|co|or|re|ac|kr|com|net|org)(?:/.*)?"  # addresses
    r"|(?:aes|sha|rsa|seed|aria|lea|hmac|md5|des|tls|ssl|otp|sso|mfa|ldap|pbkdf2|bcrypt|argon2|kcmvp|fips)"
    r"[-_/0-9.]*"  # algorithms
    r"|[*xX•.#?_=\-~!@]+|null|none|true|false|string|str|input|example|password"  # placeholders
    r"|os\.environ.*|getenv.*|env\..*|process\.env.*"  # code that reads it from elsewhere
    r"|(?:19|20)[0-9]{2}[-.][0-9.\-]*|[0-9]{1,2}[~\-][0-9]{1,2}"  # dates and ranges
)
_COUNTED: Final = re.compile(r"\s?(?:년|월|일|자|회|개|명|시|분|점|차|글자|번째|건|원|호|조|항|단계)")


class Passwords:
    """`비밀번호는 qwer1234!입니다`, `pw: …`: the value behind the word, if it looks like one."""

    name = "passwords"
    gates = (
        r"비밀\s?번호|비\s?번|패스\s?워드|암호|패스\s?코드|핀\s?번호|잠금\s?번호|접속\s?번호|(?i:passw|passphrase|passcode|pwd|\bpw)",
    )

    def find(self, text: str) -> list[Span]:
        return [
            span
            for match in limited(_PASSWORD.finditer(text), self.name)
            if (span := _password(match)) is not None
        ]


_SHORT_WORD: Final = re.compile(r"비번|비밀번호|(?i:pw|pwd|password)")
"""Before these a blank is enough for digits alone: `비번 1234`."""


def _password(match: re.Match[str]) -> Span | None:
    value = match["value"].rstrip(".?" if not match["quote"] else "")
    if len(value) < 4 or _NO_PASSWORD.fullmatch(value) or _COUNTED.match(match["after"]):
        return None
    digits = any(character.isdigit() for character in value)
    letters = any(character.isalpha() for character in value)
    marks = any(character in "!@#$%^&*+~?" for character in value)
    stated = match["tie"].strip() != "" or match["count"] is not None
    if not (digits or marks) and not (match["quote"] and stated):
        return None
    year = len(value) == 4 and value[:2] in {"19", "20"}
    if not stated and (not digits or year or not (letters or marks or _SHORT_WORD.match(match.group()))):
        return None
    start = match.start("value")
    return Span(start, start + len(value), SECRET, 0.85, "secret_password", "password")
