"""A small workflow for `test_cold_queries.py`: each thing it is told leaves an event of its own."""

from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def step(number: int) -> int:
    return number


@workflow.defn
class Steps:
    def __init__(self) -> None:
        self.done = 0

    @workflow.run
    async def run(self) -> int:
        for number in range(3):
            await workflow.execute_activity(
                step, number, start_to_close_timeout=timedelta(seconds=20)
            )
            self.done += 1
            workflow.upsert_memo({"done": self.done})
        return self.done

    @workflow.query
    def look(self) -> int:
        return self.done

    @workflow.update
    async def touch(self) -> int:
        workflow.upsert_memo({"touched": True})
        return self.done
