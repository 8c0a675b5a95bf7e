"""Sends orders above a limit to destinations of their own."""
import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import (
    Body,
    Delivery,
    Description,
    Event,
    Failure_Reject,
    Verdict,
    Verdict_Deliver,
    Verdict_Pass,
)

# What `config` may hold: the host checks it against this before `init` sees it.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "limit": {"description": "The least amount of a large order.", "type": "number"},
        "to": {
            "description": "Who gets large orders, by the names of the host's settings.",
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
        },
    },
    "required": ["limit", "to"],
    "additionalProperties": False,
}

settings: dict = {}


class Lifecycle(exports.Lifecycle):
    def describe(self) -> Description:
        return Description(
            name="large-orders",
            version="0.1.0",
            summary="Sends orders above a limit to destinations of their own.",
            config_schema=json.dumps(SCHEMA),
        )

    def init(self, config_json: str) -> None:
        settings.update(json.loads(config_json))


class Handler(exports.Handler):
    def handle(self, e: Event, body: Body) -> Verdict:
        # The host looks the value up; the body itself never comes here.
        [amount] = body.select(["/amount"])
        try:
            number = float(json.loads(amount or ""))
        except (TypeError, ValueError):
            raise Err(Failure_Reject("no number at /amount"))
        if number < settings["limit"]:
            return Verdict_Pass()
        return Verdict_Deliver(
            [
                Delivery(
                    destination=name,
                    body=None,
                    content_type=None,
                    headers=[],
                    delay_ms=0,
                    order_key=None,
                )
                for name in settings["to"]
            ]
        )
