"""The rules of Azure Batch as a deterministic state machine: no I/O, no thread, no sleep, no wall clock.

One `Account` holds pools, nodes, jobs, tasks and job schedules. Time is a float: seconds since 1970, UTC. The account
never asks what time it is: its driver says so. Randomness comes from one seeded generator. The same calls in the same
order give the same account.

How a driver runs it
--------------------
A driver is whoever owns the clock and "runs" command lines: the service (real processes, wall clock) or a simulator
(modelled durations, virtual clock). It does this, for ever:

1. `account.advance(to)` moves the clock to `to` and fires all timers that are due on the way, in order: a node that
   has booted, a sample that is taken, an autoscale formula that is evaluated, a preemption, a deadline, a retention.
2. It calls operations (`account.create_pool(spec)`, `account.add_task(job_id, spec)`, ...). They happen at
   `account.now`. What Batch would refuse raises `Refused` and changes nothing.
3. `account.take_effects()` returns, in order, what the world has to do, and forgets it:
   - `Launch(run)`: start the command line of `run` (a task, start task, job preparation or release task). When it
     ends, call `account.finished(run.id, exit)`. A run that is never finished holds its slots for ever.
   - `Stop(run_id)`: end that run (SIGTERM, later SIGKILL), then call `account.finished(run_id, exit)`: what happens
     to the task (requeued, completed as ended by the user, ...) was decided when the stop was asked for. A simulator
     may answer at once.
   - `NodeGone(record)`: a node has left for good; `record` is its life for the bill (None: only its VM is gone).
     `WorkGone(...)`: files may be removed.
4. `account.next_event_time()` says when the next timer is due (None: nothing is waiting). The driver sleeps until
   then, or until a command or an end of a process comes first. A simulator jumps.

A simulator in full (see also `virtual.VirtualDriver`, which is this and a heap for the ends of runs):

    account = Account(name="sim", now=T0, seed=7, nodes=NodeTimes(creating=(60, 120), starting=(30, 60)))
    account.create_pool(PoolSpec(id="p", task_slots_per_node=4, autoscale_formula=..., autoscale_interval=300.0))
    account.create_job(JobSpec(id="j", pool_id="p"))
    driver = VirtualDriver(account, duration=lambda run: Outcome(seconds=42.0))
    task = TaskSpec(id="t1", command=CommandSpec(command_line="convert"))
    driver.at(T0 + 3600, lambda: account.add_task("j", task))
    driver.run_until(T0 + 86_400)

What a driver can inject
------------------------
- `nodes: NodeModel` (policies.py): how long allocation, creation, boot, reboot and reimage take, how many nodes of a
  request are granted and with which resize error, when a low-priority node is preempted and whether it comes back.
  `NodeTimes` draws these from ranges; a simulator may write its own. All times are seconds of the account's clock.
- At any time: `account.preempt(pool_id, count)` (storms), `account.fail_next_allocations(...)`.
- `quotas: Quotas`: active jobs, pools, cores.
- `watch_samples`: called with (pool, time, row) at each 30-second sample: nodes and tasks over time, for a chart.

What it can read
----------------
- `account.pools`, `pool.nodes`, `account.jobs`, `job.tasks`, `task.*` are plain objects; read them, never write them.
- `pool.node_counts(dedicated=...)`, `job.counts`, `account.metrics(pool_id)`; `pool.autoscale_run` is the last
  evaluation.
- `account.node_records(pool_id)`: `NodeRecord`s of the nodes that are there now; those that left came as `NodeGone`.
  A record has allocated_at, usable_at, removed_at, dedicated, busy_seconds (at least one task was running),
  slot_seconds (slots in use x seconds) and preempted_seconds (the node's id was there, its VM was not).
"""

from localcloud.batch.core.account import Account
from localcloud.batch.core.effects import Effect, Exit, Failure, Launch, NodeGone, NodeRecord, Stop, WorkGone
from localcloud.batch.core.errors import Refused
from localcloud.batch.core.policies import AllocationGrant, NodeModel, NodeTimes, Quotas
from localcloud.batch.core.specs import (
    CommandSpec,
    JobScheduleSpec,
    JobSpec,
    PoolSpec,
    StartTaskSpec,
    TaskSpec,
)
from localcloud.batch.core.virtual import Outcome, VirtualDriver

__all__ = [
    "Account",
    "AllocationGrant",
    "CommandSpec",
    "Effect",
    "Exit",
    "Failure",
    "JobScheduleSpec",
    "JobSpec",
    "Launch",
    "NodeGone",
    "NodeModel",
    "NodeRecord",
    "NodeTimes",
    "Outcome",
    "PoolSpec",
    "Quotas",
    "Refused",
    "StartTaskSpec",
    "Stop",
    "TaskSpec",
    "VirtualDriver",
    "WorkGone",
]
