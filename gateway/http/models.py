"""GET /v1/models and /v1/models/{id}: what is open to the caller, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from gateway.unavailable import unknown_model

if TYPE_CHECKING:
    from gateway.catalogue import Model
    from gateway.pipeline import Pipeline


def router(pipeline: Pipeline, created: int) -> APIRouter:
    """`created` is the `created` of every model: when this catalogue was loaded, Unix seconds."""
    routes = APIRouter(tags=["models"])

    @routes.get("/v1/models", openapi_extra={"security": [{"key": []}]})
    async def list_models(request: Request) -> dict[str, Any]:
        """List the models that the caller may use."""
        caller = pipeline.identify(request.headers)
        return {"object": "list", "data": [_shown(m, created) for m in pipeline.models_for(caller)]}

    @routes.get("/v1/models/{model_id:path}", openapi_extra={"security": [{"key": []}]})
    async def get_model(model_id: str, request: Request) -> dict[str, Any]:
        """Describe one model that the caller may use."""
        caller = pipeline.identify(request.headers)
        for model in pipeline.models_for(caller):
            if model.id == model_id:
                return _shown(model, created)
        raise unknown_model(model_id)

    return routes


def _shown(model: Model, created: int) -> dict[str, Any]:
    return {
        "id": model.id,
        "object": "model",
        "created": created,
        "owned_by": model.owned_by,
        "name": f"{model.name} (simulated)" if model.simulated else model.name,
        "haechi": {
            "kind": model.kind,
            "zones": sorted(model.zones),
            "capabilities": sorted(model.capabilities),
            "context_tokens": model.context_tokens,
            "max_output_tokens": model.max_output_tokens,
            "simulated": model.simulated,
        },
    }
