"""The dependency graph of a plan."""

from collections.abc import Collection, Mapping


def find_cycle(dependencies: Mapping[str, Collection[str]]) -> list[str] | None:
    """One cycle, spelled out from a node back to itself, or None.

    `dependencies` maps a task's id to the ids it depends on; unknown ids are ignored. Iterative:
    a chain of a thousand tasks must not meet Python's recursion limit.
    """
    finished: set[str] = set()
    for root in dependencies:
        if root in finished:
            continue
        path = [root]
        on_path = {root}
        branches = [iter(dependencies[root])]
        while branches:
            following = next(branches[-1], None)
            if following is None:
                branches.pop()
                ended = path.pop()
                on_path.discard(ended)
                finished.add(ended)
            elif following in on_path:
                return [*path[path.index(following) :], following]
            elif following in dependencies and following not in finished:
                path.append(following)
                on_path.add(following)
                branches.append(iter(dependencies[following]))
    return None


def with_dependants(
    dependencies: Mapping[str, Collection[str]], roots: Collection[str]
) -> set[str]:
    """The roots, and everything that depends on one of them, directly or not.

    >>> sorted(with_dependants({"a": (), "b": ("a",), "c": ("b",), "d": ()}, ["b"]))
    ['b', 'c']
    """
    dependants: dict[str, list[str]] = {}
    for node, needs in dependencies.items():
        for each in needs:
            dependants.setdefault(each, []).append(node)
    found = set(roots)
    frontier = list(found)
    while frontier:
        for each in dependants.get(frontier.pop(), ()):
            if each not in found:
                found.add(each)
                frontier.append(each)
    return found


def in_order(dependencies: Mapping[str, Collection[str]]) -> list[str]:
    """The nodes, each after those that it depends on; unknown ids are ignored. Without cycles."""
    open_needs = {
        node: sum(each in dependencies for each in set(needs))
        for node, needs in dependencies.items()
    }
    dependants: dict[str, list[str]] = {node: [] for node in dependencies}
    for node, needs in dependencies.items():
        for each in dict.fromkeys(needs):
            if each in dependencies:
                dependants[each].append(node)
    ordered = [node for node, count in open_needs.items() if not count]
    for node in ordered:  # grows while it is read
        for each in dependants[node]:
            open_needs[each] -= 1
            if not open_needs[each]:
                ordered.append(each)
    return ordered
