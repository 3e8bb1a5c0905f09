"""Where a request goes at an OpenAI-compatible provider, and what proves us there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.catalogue import Deployment
    from gateway.providers.profiles import Profile


def address(deployment: Deployment, path: str) -> str:
    """Return the URL of an API path; Azure's dated API names the deployment in it."""
    base = deployment.base_url.rstrip("/")
    version = deployment.options.get("api_version")
    if version:
        return f"{base}/openai/deployments/{deployment.upstream_model}/{path}?api-version={version}"
    return f"{base}/{path}"


def headers(
    deployment: Deployment, profile: Profile, accept: str, content_type: str = "application/json"
) -> dict[str, str]:
    """Return the headers of a request, the deployment's own among them."""
    written = {"content-type": content_type, "accept": accept}
    key = deployment.credential.api_key
    if key and profile.auth == "api-key":
        written["api-key"] = key
    elif key:
        written["authorization"] = f"Bearer {key}"
    return written | dict(deployment.headers)
