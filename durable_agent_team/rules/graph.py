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
