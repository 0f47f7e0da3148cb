"""The health routes over real sockets."""

from __future__ import annotations

from typing import Any

from proxy.control.health.components import ComponentHealth
from tests.control.health.rig import HealthRig
from tests.control.server import ControlServer
from tests.support.clock import MIDNIGHT

UP = ComponentHealth(True, MIDNIGHT - 60, 0.00123)
DOWN = ComponentHealth(False, MIDNIGHT - 30)
MODELS = ("a/m", "a/n", "b/m")


class HealthServer(ControlServer):
    """``async with HealthServer("provider/model") as plane``; ``rig`` has the state that the routes show."""

    def __init__(self, *models: str, **options: Any) -> None:
        def routes(plane: ControlServer) -> Any:
            self.rig = HealthRig(plane, *models, **options)
            return self.rig.routes()

        super().__init__(routes)

    async def __aexit__(self, *outcome: Any) -> None:
        self.rig.monitor.close()
        await super().__aexit__(*outcome)

    async def show(self, path: str) -> Any:
        """The JSON body of a page, as the admin."""
        answer = await self.ask("GET", path)
        assert answer.header("content-type") == "application/json"
        assert answer.header("cache-control") == "no-store"
        return answer.json
