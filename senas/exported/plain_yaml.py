"""YAML of mappings, lists, texts and numbers: all that an se.yaml is made of, and nothing that can do harm.

Anchors, which let a small file stand for a huge one, tags, which name things to build, and keys that are given twice
are refused.
"""

from typing import Any

import yaml

from senas.errors import ExportError

LARGEST_FILE = 4_000_000
"""Bytes. An se.yaml of a network with 600 sites and 1,000 classes has a tenth of them."""


def parse(content: bytes) -> Any:
    """What the file says. Raises ExportError with the cause, which the caller puts behind the file's name."""
    if len(content) > LARGEST_FILE:
        raise ExportError(f"it has {len(content):,} bytes, and no se.yaml has more than {LARGEST_FILE:,}")
    try:
        return yaml.load(content.decode(), _Loader)
    except ExportError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, a date without such a day, a number of thousands of digits.
        raise ExportError("it is not YAML") from error


def dump(plain: Any, **style: Any) -> str:
    """The inverse: what is there twice is written twice, never as an anchor."""
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, **style)
    return text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ExportError("it has an anchor (& or *), which no se.yaml has")
        if getattr(event, "tag", None) is not None:
            raise ExportError("it has a tag (!), which no se.yaml has")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            keys = [str(key.value) for key, _ in node.value]
            raise ExportError(f"{next((k for k in keys if keys.count(k) > 1), keys[0])[:40]} is there twice")
        return mapping
