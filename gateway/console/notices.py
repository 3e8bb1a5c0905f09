"""What a page says after something was done: a code in the address, the words here.

A redirect carries `?notice=<code>`, so that nothing written by others can be shown as a message of ours.
Each area adds its own lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlencode

from starlette.responses import RedirectResponse

from gateway.console.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

Tone = Literal["good", "info", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Notice:
    tone: Tone
    text: str
    """Korean, marked for the catalogue."""


NOTICES: Final[Mapping[str, Notice]] = {
    "signed-out": Notice("good", N_("로그아웃했습니다.")),
    "signed-out-elsewhere": Notice("good", N_("다른 브라우저에서 모두 로그아웃했습니다.")),
    "password-changed": Notice("good", N_("비밀번호를 바꿨습니다. 다른 브라우저에서는 로그아웃되었습니다.")),
    "signed-out-there": Notice("good", N_("그 브라우저에서 로그아웃했습니다.")),
    "totp-already-on": Notice("info", N_("2단계 인증이 이미 켜져 있습니다.")),
    "totp-off": Notice("good", N_("2단계 인증을 껐습니다.")),
    "account-created": Notice("good", N_("계정을 만들었습니다.")),
    "account-disabled": Notice("good", N_("계정을 막았습니다. 로그인해 있던 곳에서도 바로 나갑니다.")),
    "account-enabled": Notice("good", N_("계정을 다시 열었습니다.")),
    "roles-changed": Notice("good", N_("역할을 바꿨습니다. 바로 적용됩니다.")),
    "saved": Notice("good", N_("저장했습니다.")),
    "key-renamed": Notice("good", N_("키 이름을 바꿨습니다.")),
    "key-revoked": Notice("good", N_("키를 폐기했습니다. 1초 안에 모든 곳에서 막힙니다.")),
    "key-already-made": Notice(
        "info", N_("이미 만든 키입니다. 키는 한 번만 보여 드립니다. 놓쳤다면 폐기하고 새로 만드세요.")
    ),
    "key-limited": Notice("good", N_("키의 한도를 바꿨습니다. 1초 안에 모든 곳에서 적용됩니다.")),
    "budget-set": Notice("good", N_("예산을 정했습니다. 지금부터 적용됩니다.")),
    "budget-ended": Notice("good", N_("예산을 끝냈습니다.")),
    "already-so": Notice("info", N_("이미 그렇게 되어 있습니다. 바뀐 것은 없습니다.")),
    "department-saved": Notice("good", N_("부서를 저장했습니다.")),
    "department-closed": Notice("good", N_("부서를 닫았습니다. 정한 날부터 보이지 않습니다.")),
    "person-saved": Notice("good", N_("직원을 저장했습니다.")),
    "person-left": Notice("good", N_("떠남으로 처리했습니다. 그날부터 모든 키가 막힙니다.")),
    "people-imported": Notice("good", N_("직원 명부를 반영했습니다.")),
    "month-preview": Notice("good", N_("금액을 모아 검토에 올렸습니다.")),
    "month-approved": Notice("good", N_("승인했습니다. 이제 마감할 수 있습니다.")),
    "month-open": Notice("good", N_("되돌렸습니다. 다시 검토부터 할 수 있습니다.")),
    "price-proposed": Notice("good", N_("새 판으로 올렸습니다. 승인하면 적용일부터 쓰입니다.")),
    "price-approved": Notice("good", N_("승인했습니다. 적용일부터 1초 안에 모든 곳에서 쓰입니다.")),
    "price-rejected": Notice("good", N_("반려했습니다. 바뀐 단가는 없습니다.")),
    "price-withdrawn": Notice("good", N_("거두었습니다. 적용되지 않습니다.")),
    "month-locked": Notice("good", N_("마감했습니다. 청구서가 나왔고, 이 달은 더 바뀌지 않습니다.")),
    "bill-imported": Notice("good", N_("청구서를 받아 장부와 대조했습니다.")),
    "bill-compared": Notice("good", N_("다시 대조했습니다.")),
    "bill-accepted": Notice("good", N_("차이를 받아들였습니다. 누가 왜 그랬는지 남습니다.")),
    "bill-withdrawn": Notice("good", N_("청구서를 철회했습니다. 내용은 남고, 더는 세지 않습니다.")),
    "incidents-changed": Notice("good", N_("고른 사건을 처리했습니다.")),
    "incident-changed": Notice("good", N_("처리했습니다.")),
    "nothing-chosen": Notice("warn", N_("고른 사건이 없습니다. 먼저 사건을 고르세요.")),
    "view-kept": Notice("good", N_("조건을 저장했습니다.")),
    "view-dropped": Notice("good", N_("저장한 조건을 지웠습니다.")),
    "view-unnamed": Notice("warn", N_("저장할 조건의 이름을 적으세요.")),
    "reveal-open": Notice("good", N_("열었습니다. 정해진 시간이 지나면 다시 가려집니다.")),
    "reveal-asked": Notice("info", N_("요청했습니다. 다른 심사자가 승인하면 열립니다.")),
    "reveal-approved": Notice("good", N_("승인했습니다. 요청한 심사자에게 정해진 시간 동안 보입니다.")),
    "reveal-refused": Notice("good", N_("거절했습니다.")),
    "exception-proposed": Notice("good", N_("제안했습니다. 다른 심사자가 승인하면 적용됩니다.")),
    "exception-approve": Notice("good", N_("승인했습니다. 1초 안에 모든 곳에 적용됩니다.")),
    "exception-refuse": Notice("good", N_("예외를 거절했습니다.")),
    "exception-revoke": Notice("good", N_("거두었습니다. 1초 안에 모든 곳에서 다시 막힙니다.")),
    "incident-reported": Notice("good", N_("신고했습니다. 보안 심사자가 살펴봅니다.")),
    "key-already-revoked": Notice("info", N_("이미 폐기된 키입니다. 바뀐 것은 없습니다.")),
}


def done(path: str, notice: str, **query: str) -> RedirectResponse:
    """Send the browser on after a POST, with word of what was done. Raises KeyError for an unknown notice."""
    assert notice in NOTICES, notice
    return RedirectResponse(f"{path}?{urlencode({**query, 'notice': notice})}", status_code=303)
