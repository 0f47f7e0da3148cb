"""The models with state and prices."""

from __future__ import annotations

from tests.control.usage.rig import PricedPlane


async def test_each_model_has_its_state_and_its_prices() -> None:
    plane = PricedPlane()
    async with plane.server as server:
        answer = await server.fetch("GET", "/orchestrator/models", ("x-test-client", "a"))
        first, second = answer.json["models"]
        assert (first["id"], first["state"], first["max_output_tokens"]) == ("near/m", "available", 500)
        assert (first["prices"]["input"], first["price_source"]) == (2, "operator")
        assert (second["name"], second["prices"], second["price_source"]) == ("n", None, None)
        plane.registry.breaker(plane.catalog.deployments[0].key).trip(server.clock.now(), "operator")
        first = (await server.fetch("GET", "/orchestrator/models", ("x-test-client", "a"))).json["models"][0]
        assert first["state"] == "unavailable"
        assert "held open" in first["why"]
        assert (await server.fetch("GET", "/orchestrator/models")).status == 401
