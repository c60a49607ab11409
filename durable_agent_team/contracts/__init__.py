"""Every message that crosses a Temporal boundary, and the public names. Imports nothing of ours."""
