"""Errors that reach the app, in our words: a page to a browser, else the envelope of the caller's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.bound import TooLong
from gateway.console import failures
from gateway.errors import GatewayError, InvalidRequest
from gateway.http import errors
from gateway.http.body import too_large

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response


def register(app: FastAPI) -> None:
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(Exception, _defect)


def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError), "registered for this class"
    if failures.is_page(request):
        return failures.page_of(request, error)
    return errors.response(error, request.headers, request.url.path)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for this class"
    if failures.is_page(request):
        return failures.page_of_http(request, error)
    if isinstance(error, TooLong):
        return errors.response(too_large(error.most), request.headers, request.url.path)
    if error.status_code == 405:
        words = (
            "이 주소에 쓸 수 없는 메서드입니다.",
            "This address does not take that method.",
            "method_not_allowed",
        )
    elif error.status_code == 400:
        words = (
            "요청 본문을 읽을 수 없습니다. content-type과 본문의 형식이 맞는지 확인하세요.",
            "The request body cannot be read. Check that it is what its content-type says.",
            "malformed_body",
        )
    else:
        words = (
            "그런 주소는 없습니다. 쓸 수 있는 주소: /docs",
            "There is no such address. See /docs.",
            "not_found",
        )
    korean, english, code = words
    response = errors.response(InvalidRequest(korean, english, code=code), request.headers, request.url.path)
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response


def _defect(request: Request, _error: Exception) -> Response:
    """Answer in the caller's envelope; RequestIdentity logs what it was, without its message."""
    return errors.response(errors.INTERNAL, request.headers, request.url.path)


def _invalid_parameters(request: Request, error: Exception) -> Response:
    if failures.is_page(request):
        return failures.page_of_http(request, HTTPException(400))
    assert isinstance(error, RequestValidationError), "registered for this class"
    return errors.response(errors.invalid(error.errors()), request.headers)
