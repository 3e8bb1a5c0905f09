"""Addresses and credentials of Google: AI Studio by key, Vertex AI by access token. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.catalogue import Deployment


def is_vertex(deployment: Deployment) -> bool:
    return deployment.profile == "vertex" or "project" in deployment.options


def address(deployment: Deployment, verb: str) -> str:
    """Return the URL of a model's verb, at AI Studio or at Vertex AI."""
    base = deployment.base_url.rstrip("/")
    versioned = base.rpartition("/")[2].startswith("v1")
    path = f"models/{deployment.upstream_model}"
    if is_vertex(deployment):
        base = base if versioned else f"{base}/v1"
        project = deployment.options.get("project")
        location = deployment.options.get("location") or deployment.region or "global"
        path = f"projects/{project}/locations/{location}/publishers/google/{path}"
    elif not versioned:
        base = f"{base}/v1beta"
    return f"{base}/{path}:{verb}"


def headers(deployment: Deployment) -> dict[str, str]:
    written = {"content-type": "application/json"}
    key = deployment.credential.api_key
    if key and is_vertex(deployment):
        written["authorization"] = f"Bearer {key}"
    elif key:
        written["x-goog-api-key"] = key
    return written | dict(deployment.headers)
