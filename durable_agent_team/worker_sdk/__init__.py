"""Patches of Temporal's Python SDK, for the worker.

Each patch changes how the SDK behaves by wrapping or replacing something that has no public
extension point. A worker without any of them runs every workflow correctly, except for what a patch
fixes; `SDK_PATCHES` switches them off one by one (docs/settings.md).

- `patches` is the table: what each patch fixes, the SDK version it was seen in, the upstream issue
  it waits for, and the test that fails once the SDK no longer needs it. Start reading here.
- `patched_worker` applies the enabled patches to a workflow runner and a worker.
- Every other module implements a patch, or a part of one. All of them are named in the table.

Does not belong here: interceptors, converters and other public extension points of the SDK
(`process`, `payloads`), and anything that knows about teams or runs of agents.

Imports nothing of the project.
"""
