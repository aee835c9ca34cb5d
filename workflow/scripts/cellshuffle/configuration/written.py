"""What a YAML file says before YAML reads it: keys given twice, names that become something else."""

from collections import deque

import yaml

# Where values, and keys, name something; ANY is every key of a mapping and every entry of a list. With the
# types that may stand there besides text and whole numbers, as YAML calls them.
ANY = object()
NAMES = {
    ("atlas", "train_plates", ANY): (),
    ("atlas", "test_plates", ANY): (),
    ("tune", "validation", "plates", ANY): (),
    ("atlas", "split", "train", ANY): ("bool", "float", "null"),
    ("atlas", "split", "test", ANY): ("bool", "float", "null"),
    ("atlas", "split", "ignore", ANY): ("bool", "float", "null"),
    ("atlas", "where", ANY): ("bool", "float"),
    ("atlas", "where", ANY, ANY): ("bool", "float", "null"),
    ("tasks", ANY, "lookup", "extra", ANY): ("float",),
}
KEYS = {
    ("atlas", "where"): (),
    ("tasks",): (),
    ("strategies",): (),
    ("tasks", ANY, "lookup", "extra"): ("bool", "float"),
}
TRUE_OR_FALSE = ("true", "false")


def repeated_keys(text):
    """Lines about keys that a mapping of the YAML text has twice; YAML itself would take the last."""
    for path, node in _nodes(_root(text)):
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            where = "".join(f"{key}: " for key in path)
            for key in sorted({key for key in keys if keys.count(key) > 1}):
                yield f"{where}'{key}' is given {keys.count(key)} times"


def misread_names(text):
    """Lines about names in the YAML text that YAML reads as something else: `010` as 8, `NO` as false.

    Looked for in the whole text and in every section of it that has an `atlas`, as where another workflow
    gives its configuration to this one.
    """
    for path, node in _nodes(_root(text)):
        if not isinstance(node, yaml.MappingNode) or len(path) > 1:
            continue
        if path and not any(key.value == "atlas" for key, _ in node.value):
            continue
        for own, part in _nodes(node):
            keys = part.value if isinstance(part, yaml.MappingNode) else []
            checked = [(key, _types(own, KEYS)) for key, _ in keys] + [(part, _types(own, NAMES))]
            where = "".join(f"{key}: " for key in (*path, *own))
            for scalar, types in checked:
                if types is not None and (read := _misread(scalar, types)) is not None:
                    yield f'{where}YAML reads {scalar.value} as {read}; put it in quotes: "{scalar.value}"'


def _root(text):
    # JSON may be indented by tabs, which YAML refuses; Snakemake has refused a YAML that is.
    return yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)


def _nodes(root):
    """(path of keys and numbers, node) of every node below `root`, each once, whatever its aliases."""
    nodes, seen = deque([((), root)]), set()
    while nodes:
        path, node = nodes.popleft()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield path, node
        if isinstance(node, yaml.SequenceNode):
            nodes += [((*path, k), part) for k, part in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            nodes += [((*path, str(key.value)), part) for key, part in node.value]


def _types(path, places):
    """The types allowed where `path` leads, None where it leads to no name."""
    for place, types in places.items():
        if len(place) == len(path) and all(p is ANY or p == key for p, key in zip(place, path, strict=True)):
            return types
    return None


def _misread(node, types):
    """What YAML makes of the text of a node, None where that is the text itself or one of `types`."""
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return None
    kind = node.tag.rpartition(":")[2]
    if kind in ("str", "merge"):
        return None
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError):  # such as the 31st of February
        return "something that it does not know"
    allowed = kind == "int" or kind in types
    if allowed and (kind == "null" or node.value == str(value) or node.value.lower() in TRUE_OR_FALSE):
        return None
    if kind == "float" and value.is_integer():
        value = int(value)
    return {"null": "nothing", "timestamp": f"the date {value}"}.get(kind, str(value))
