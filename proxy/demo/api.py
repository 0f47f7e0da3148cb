"""The face of an API that the demo speaks: what all of its endpoints share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from proxy.demo.answer import DemoAnswer
from proxy.demo.models import DemoModel
from proxy.demo.refusal import DemoRefusal


class DemoApi(ABC):
    """Stateless. The endpoints themselves are in ``endpoints.py``."""

    @abstractmethod
    def refused(self, refusal: DemoRefusal) -> DemoAnswer:
        """The answer to a refused request."""

    @abstractmethod
    def listed(self, model: DemoModel, name: str) -> dict[str, Any]:
        """A model in a list; ``name`` may have the figure of a fault."""

    @abstractmethod
    def models(self, models: tuple[DemoModel, ...]) -> dict[str, Any]:
        """The list of all models, on one page."""
