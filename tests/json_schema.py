"""The part of JSON Schema that pydantic writes for our models."""

import re
from typing import Any

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "null": type(None),
}


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any] | None = None) -> bool:
    """Tell whether a schema accepts a value; a key that is not known here is an error."""
    root = root or schema
    if "type" in schema and not _holds("type", schema["type"], schema, value, root):
        return False
    return all(_holds(key, rule, schema, value, root) for key, rule in schema.items())


def _holds(key: str, rule: Any, schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match key:
        case "$ref":
            return accepts(root["$defs"][rule.rpartition("/")[2]], value, root)
        case "oneOf" | "anyOf":
            number = sum(accepts(part, value, root) for part in rule)
            return number == 1 if key == "oneOf" else number > 0
        case "type":
            return isinstance(value, TYPES[rule]) and (rule == "boolean") >= isinstance(value, bool)
        case "enum" | "const":
            return any(value == one and type(value) is type(one) for one in _listed(rule))
        case "properties":
            return all(accepts(rule[k], v, root) for k, v in value.items() if k in rule)
        case "required":
            return set(rule) <= value.keys()
        case "additionalProperties":
            others = value.keys() - schema.get("properties", {}).keys()
            return (
                not others if rule is False else all(accepts(rule, value[k], root) for k in others)
            )
        case "prefixItems":
            return all(accepts(part, v, root) for part, v in zip(rule, value, strict=False))
        case "items":
            return all(accepts(rule, v, root) for v in value)
        case "minItems" | "minLength":
            return len(value) >= rule
        case "maxItems" | "maxLength":
            return len(value) <= rule
        case "minimum":
            return not is_number or value >= rule
        case "maximum":
            return not is_number or value <= rule
        case "exclusiveMaximum":
            return not is_number or value < rule
        case "pattern":
            return re.search(rule, value) is not None
        case "title" | "description" | "default" | "discriminator" | "$defs":
            return True
        case _:
            raise NotImplementedError(key)


def _listed(rule: Any) -> list[Any]:
    return rule if isinstance(rule, list) else [rule]
