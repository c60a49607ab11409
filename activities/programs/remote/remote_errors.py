"""How the work of a remote agent ends without an answer."""


class RemoteError(Exception):
    """The text has no key, and at most a few lines of what the remote agent said."""


class RemoteUnavailable(RemoteError):
    """It cannot be reached, or asks to be called later. Another attempt continues its task."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RemoteFailed(RemoteError):
    """It ended the task without an answer, or cannot be used as it is."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        """Another attempt would end the same way."""


class InputNeeded(RemoteError):
    """It asks a person. The text is its question."""

    def __init__(self, question: str, task_id: str) -> None:
        super().__init__(question)
        self.task_id = task_id


class RpcError(Exception):
    """A protocol error that it answered with; `code` is JSON-RPC's, 0 where there is none."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    @property
    def permanent(self) -> bool:
        """The same request would be refused again: the credentials, the method, its parameters."""
        return self.status in (401, 403) or -32_602 <= self.code <= -32_600
