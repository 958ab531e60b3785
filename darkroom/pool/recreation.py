"""Makes a pool again from what Batch tells of it: the cure for nodes that nothing else mends."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from darkroom.connection import Connection
from darkroom.failure import CommandError, ExitCode

_DEADLINE = 900.0
"""Seconds; Azure takes minutes to let nodes go."""


async def recreate_pool(connection: Connection) -> None:
    """Deletes the pool, waits until it is gone, creates it alike. Raises CommandError after 15 minutes."""
    from azure.batch.models import BatchPoolCreateOptions  # noqa: PLC0415 (slow to load)
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError  # noqa: PLC0415 (as above)

    client = await connection.batch()
    pool_id = connection.settings.batch.pool_id
    old = await client.get_pool(pool_id)
    options = BatchPoolCreateOptions(
        id=pool_id,
        vm_size=old.vm_size or "",
        display_name=old.display_name,
        virtual_machine_configuration=old.virtual_machine_configuration,
        network_configuration=old.network_configuration,
        resize_timeout=None if old.enable_auto_scale else old.resize_timeout,
        enable_auto_scale=old.enable_auto_scale,
        auto_scale_formula=old.auto_scale_formula,
        auto_scale_evaluation_interval=old.auto_scale_evaluation_interval,
        target_dedicated_nodes=None if old.enable_auto_scale else old.target_dedicated_nodes,
        target_low_priority_nodes=None if old.enable_auto_scale else old.target_low_priority_nodes,
        task_slots_per_node=old.task_slots_per_node,
        task_scheduling_policy=old.task_scheduling_policy,
        start_task=old.start_task,
        metadata=old.metadata,
        user_accounts=old.user_accounts,
        mount_configuration=old.mount_configuration,
    )
    await client.begin_delete_pool(pool_id, polling_interval=1)
    deadline = asyncio.get_running_loop().time() + _DEADLINE
    while asyncio.get_running_loop().time() < deadline:
        try:
            await client.get_pool(pool_id)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):  # dispatch was first, and made it from the settings
                await client.create_pool(options)
            return
        await asyncio.sleep(1)
    raise CommandError(f"Pool {pool_id} was still there after 15 minutes", code=ExitCode.TIMEOUT)
